"""Which example a row is, whatever split expression, subset or data set it came through.

An identity is a number of 64 bits: of a file the hash of where it really lies, of row n of a stored
split the hash of the split, plus n. Rows with the same identity are the same example.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
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


def file_ids(files: Sequence[Path]) -> UInt64[np.ndarray, "n"]:
    """Return the identities of files; a link has that of the file it leads to."""
    folders = {folder: os.path.realpath(folder) for folder in {file.parent for file in files}}
    real = (
        os.path.realpath(file) if file.is_symlink() else f"{folders[file.parent]}/{file.name}"
        for file in files
    )
    return np.array([_hash(path) for path in real], np.uint64)


def _hash(text: str) -> np.uint64:
    digest = hashlib.blake2b(os.fsencode(text), digest_size=8).digest()
    return np.frombuffer(digest, np.uint64)[0]


def _count(start: int, stop: int) -> UInt64[np.ndarray, "n"]:
    return np.arange(start, stop, dtype=np.uint64)
