"""Similarities between rows, block by block, and the nearest rows with ties in random order.

Larger means more alike: the cosine, minus the squared Euclidean distance, or what a network has
learned. Sums are in float64, and differences below float32's resolution are rounded away: rows
that are equal tie wherever in a matrix product they stand. Otherwise a collapsed embedding would
be ranked by rounding errors.

Shapes: a [n, d], b [m, d] -> [n, m]; no more than about 2^23 entries are held at a time.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer

from cnnlab.utils.registry import pick

Learned = Callable | None
Distance = Literal["cosine", "euclidean"]

ENTRIES = 2**23
# A learned similarity may hold [rows, columns, d] at once.
LEARNED_ENTRIES = 2**25
PAIRED = 16
# Angles below 4e-6 and relative distances below 3e-6 are float32's rounding errors.
RESOLUTION = 1e-11


def unit(features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Return the rows scaled to length one in float64; rows of zeros stay zeros."""
    rows = features.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms == 0, 1, norms)


def _double(features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return features.astype(np.float64)


# What is done to the rows before they are compared by their squared distance.
DISTANCES: dict[str, Callable] = {"cosine": unit, "euclidean": _double}


def blocks(
    a: Float[np.ndarray, "n d"],
    b: Float[np.ndarray, "m d"],
    *,
    distance: str,
    similarity: Learned,
    entries: int = ENTRIES,
) -> Iterator[tuple[slice, Float[np.ndarray, "r m"]]]:
    """Yield rows of `a` and their similarities to all of `b`, until `a` is through.

    Args:
        a, b: features.
        distance: "cosine" or "euclidean", unused where there is a learned similarity.
        similarity: the learned one, or None.
        entries: how many similarities to hold at a time.
    """
    rows = max(1, entries // len(b))
    starts = range(0, len(a), rows)
    if similarity is not None:
        for start in starts:
            part = slice(start, min(start + rows, len(a)))
            yield part, _learned(a[part], b, similarity)
        return
    prepare = pick(DISTANCES, distance, "distance")
    bank = prepare(b)
    lengths = (bank**2).sum(axis=1)
    for start in starts:
        part = slice(start, min(start + rows, len(a)))
        queries = prepare(a[part])
        products = queries @ bank.T
        if distance == "cosine":
            yield part, _rounded(products, 1.0)
        else:
            squared = (queries**2).sum(axis=1)[:, None] + lengths - 2 * products
            yield part, _rounded(-squared, lengths.mean())


def matrix(
    a: Float[np.ndarray, "n d"],
    b: Float[np.ndarray, "m d"],
    *,
    distance: str,
    similarity: Learned,
) -> Float[np.ndarray, "n m"]:
    """Return all similarities of few rows at once."""
    return np.concatenate([s for _, s in blocks(a, b, distance=distance, similarity=similarity)])


def paired(
    features: Float[np.ndarray, "n d"],
    first: Integer[np.ndarray, "p"],
    second: Integer[np.ndarray, "p"],
    *,
    distance: str,
    similarity: Learned,
) -> Float[np.ndarray, "p"]:
    """Return the similarity of each row of `first` to the one of `second`."""
    # A learned similarity takes no list of pairs: it gives small squares and their diagonal.
    size = PAIRED if similarity is not None else max(1, ENTRIES // features.shape[1])
    scale = np.einsum("nd,nd->", features, features, dtype=np.float64) / len(features)
    scores = np.empty(len(first))
    for start in range(0, len(first), size):
        part = slice(start, start + size)
        a, b = features[first[part]], features[second[part]]
        if similarity is not None:
            scores[part] = np.diagonal(_square(a, b, size, similarity))
        elif pick(DISTANCES, distance, "distance") is unit:
            scores[part] = _rounded((unit(a) * unit(b)).sum(axis=1), 1.0)
        else:
            scores[part] = _rounded(-((_double(a) - b) ** 2).sum(axis=1), scale)
    return scores


def nearest(
    similarities: Float[np.ndarray, "n m"], k: int, rng: np.random.Generator
) -> Integer[np.ndarray, "n k"]:
    """Return the columns of the k largest entries of each row, largest first.

    Entries that are equal come in random order, and which of those on the k-th place are taken
    is random too, so that nothing depends on the order of the columns.
    """
    columns = similarities.shape[1]
    if k < columns:
        chosen = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
    else:
        chosen = np.tile(np.arange(columns), (len(similarities), 1))
    taken = np.take_along_axis(similarities, chosen, axis=1)
    last = taken.min(axis=1, keepdims=True)
    tied = (similarities == last).sum(axis=1) > (taken == last).sum(axis=1)
    for row in np.flatnonzero(tied):
        above = chosen[row][taken[row] > last[row]]
        equal = np.flatnonzero(similarities[row] == last[row])
        rest = rng.choice(equal, k - len(above), replace=False)
        chosen[row] = np.concatenate([above, rest])
    chosen = rng.permuted(chosen, axis=1)
    taken = np.take_along_axis(similarities, chosen, axis=1)
    order = np.argsort(-taken, axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def _rounded(values: np.ndarray, scale: float) -> np.ndarray:
    steps = 1 / (RESOLUTION * scale) if scale else 1.0
    return np.round(values * steps) / steps


def _learned(a: np.ndarray, b: np.ndarray, similarity: Callable) -> np.ndarray:
    side = max(1, int((LEARNED_ENTRIES / a.shape[1]) ** 0.5))
    side = min(side, max(len(a), len(b)))
    rows = [
        np.concatenate(
            [
                _square(a[i : i + side], b[j : j + side], side, similarity)
                for j in range(0, len(b), side)
            ],
            axis=1,
        )
        for i in range(0, len(a), side)
    ]
    return np.concatenate(rows)


def _square(a: np.ndarray, b: np.ndarray, side: int, similarity: Callable) -> np.ndarray:
    # Always one shape, so that a compiled similarity is compiled once.
    full = similarity(_filled(a, side), _filled(b, side))
    return np.asarray(full, np.float64)[: len(a), : len(b)]


def _filled(rows: np.ndarray, side: int) -> np.ndarray:
    return np.concatenate([rows, np.repeat(rows[-1:], side - len(rows), axis=0)])
