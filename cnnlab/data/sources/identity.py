"""Identities of examples, the same through every split expression, subset and data set.

An identity is a number of 64 bits: of a file the hash of where it really lies, of row n of a stored
split the hash of the split, plus n. Rows with the same identity are the same example.
"""

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt64


def ids_of(source: Any) -> UInt64[np.ndarray, "n"]:
    """Return the identity of every example of a source or of a view of one."""
    root, indices = unwrap(source)
    if hasattr(root, "ids"):
        return np.asarray(root.ids())[indices]
    return row_ids(root.info.name, [(root.info.split, 0, len(root))])[indices]


def unwrap(source: Any) -> tuple[Any, Int[np.ndarray, "n"]]:
    """Return the source that a view shows, and the index there of each example of the view."""
    indices = np.arange(len(source))
    while hasattr(source, "source"):
        if hasattr(source, "indices"):
            indices = np.asarray(source.indices)[indices]
        source = source.source
    return source, indices


def row_ids(place: str, ranges: Iterable[tuple[str, int, int]]) -> UInt64[np.ndarray, "n"]:
    """Return the identities of rows `start` to `stop - 1` of each `(split, start, stop)`.

    Args:
        place: where the data lies, with links resolved, or the name of the set.
        ranges: of rows, as `splits.resolve` returns them.
    """
    parts = [_hash(f"{place}:{split}") + _count(start, stop) for split, start, stop in ranges]
    return np.concatenate(parts)


def file_ids(files: Iterable[tuple[Path, str]]) -> UInt64[np.ndarray, "n"]:
    """Return the identities of files, each a folder and the place in it.

    A link has the identity of the file it leads to.
    """
    real_folder = functools.cache(os.path.realpath)

    def real(path: str) -> str:
        if os.path.islink(path):  # noqa: PTH114 - a Path of each of a million files takes seconds
            return os.path.realpath(path)
        folder, _, name = path.rpartition("/")
        return f"{real_folder(folder)}/{name}"

    return np.array([_hash(real(f"{folder}/{place}")) for folder, place in files], np.uint64)


def _hash(text: str) -> np.uint64:
    digest = hashlib.blake2b(os.fsencode(text), digest_size=8).digest()
    return np.frombuffer(digest, np.uint64)[0]


def _count(start: int, stop: int) -> UInt64[np.ndarray, "n"]:
    return np.arange(start, stop, dtype=np.uint64)
