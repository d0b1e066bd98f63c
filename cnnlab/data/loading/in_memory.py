"""A data set held whole in memory: decoded and preprocessed once, then gathered by index."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cnnlab.data.preprocess.decode import UNREADABLE
from cnnlab.errors import UserError

# A set larger than this is read example by example unless the config asks for memory.
AUTO_LIMIT_BYTES = 2 * 1024**3


def size_in_bytes(source) -> int:
    """Estimate the size of a source's arrays from its first example."""
    return sum(np.asarray(value).nbytes for value in source[0].values()) * len(source)


def collect(source, *, skip_corrupt: bool = False) -> tuple[dict[str, np.ndarray], list[int]]:
    """Return all examples of a source stacked by key, and the indices that were corrupt.

    Corrupt examples are left out of the arrays.

    Raises:
        CorruptFile: on the first one, unless `skip_corrupt`.
        UserError: if examples differ in shape, or none is left.
    """

    def read(index: int):
        try:
            return source[index]
        except UNREADABLE:
            if not skip_corrupt:
                raise
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        examples = list(pool.map(read, range(len(source))))
    corrupt = [i for i, example in enumerate(examples) if example is None]
    kept = [example for example in examples if example is not None]
    if not kept:
        raise UserError(f"'{source.info.name}' split '{source.info.split}' has no readable example")
    return stack(kept), corrupt


def stack(examples: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return examples as one array for each key.

    Raises:
        UserError: if they differ in shape, or one lacks a key of the first.
    """
    batch = {}
    for number, example in enumerate(examples):
        if lacking := examples[0].keys() - example.keys():
            raise UserError(
                f"example {number} has no '{min(lacking)}', which the first has: a source gives "
                "every example the same keys"
            )
    for key, first in examples[0].items():
        for example in examples:
            if np.shape(example[key]) != np.shape(first):
                raise UserError(
                    f"'{key}' differs in shape: {np.shape(first)} in one example, "
                    f"{np.shape(example[key])} in another; bring images to one size with "
                    "data.train.preprocess and data.eval.preprocess (resize with mode='exact', or "
                    "resize and center_crop) and objects to one number (pad_objects), or leave the "
                    "key out of data.keys"
                )
        batch[key] = np.stack([example[key] for example in examples])
    return batch
