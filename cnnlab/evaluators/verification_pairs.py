"""Pairs of rows of a labeled split: all of them, or as many same as different ones drawn.

Shapes: labels [n] -> first [p], second [p], rows with first != second.
"""

import numpy as np
from jaxtyping import Integer

from cnnlab.errors import UserError

Rows = Integer[np.ndarray, "p"]


def has_pairs(labels: Integer[np.ndarray, "n"]) -> bool:
    """Return whether two rows have the same label, and two have not."""
    return 1 < len(np.unique(labels)) < len(labels)


def draw_pairs(labels: Integer[np.ndarray, "n"], pairs: int, seed: int) -> tuple[Rows, Rows]:
    """Return all pairs if there are at most `pairs`, else half as many same as different ones.

    Drawn pairs are uniform over the same pairs and over the different ones, with replacement.

    Raises:
        UserError: no two rows have the same label, or all have.
    """
    rows = len(labels)
    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(counts) == rows:
        raise UserError(f"verification needs two examples of one class; {rows} rows have none")
    if len(counts) == 1:
        raise UserError(f"verification needs two classes or more; all {rows} rows have one label")
    if rows * (rows - 1) // 2 <= pairs:
        first, second = np.triu_indices(rows, k=1)
        return first, second
    if pairs < 2:
        raise UserError(f"verification needs two pairs or more: pairs={pairs}")
    rng = np.random.default_rng(seed)
    a, b = _same(number, counts, pairs // 2, rng), _different(number, pairs // 2, rng)
    return np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])


def _same(
    number: np.ndarray, counts: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    # A class with n rows holds n (n - 1) / 2 of the pairs.
    weight = counts * (counts - 1.0)
    classes = rng.choice(len(counts), size, p=weight / weight.sum())
    first = rng.integers(counts[classes])
    second = rng.integers(counts[classes] - 1)
    second += second >= first
    order, starts = np.argsort(number, kind="stable"), np.cumsum(counts) - counts
    return order[starts[classes] + first], order[starts[classes] + second]


def _different(
    number: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    # The row is drawn by how many there are of other classes, then one of those: among the rows
    # ordered by class, all but its own class's stretch.
    order = np.argsort(number, kind="stable")
    counts = np.bincount(number)
    starts = np.cumsum(counts) - counts
    others = len(number) - counts[number]
    first = rng.choice(len(number), size, p=others / others.sum())
    own = number[first]
    second = rng.integers(others[first])
    second += (second >= starts[own]) * counts[own]
    return first, order[second]
