"""Retrieval: is an example of the same class among the nearest of the split?

Recall@k: Jegou et al. 2011 as used for embeddings (Oh Song et al. 2016, section 5): the share of
queries with at least one of their class among the k nearest. MAP@R: Musgrave, Belongie, Lim 2020,
section 3.2: of the R nearest, R being how many others the class has, the mean over places i of
the precision at i where the i-th is right and of 0 where it is not.
Shapes: query [n, d] -> shares. Every row is searched in the rest of its own split.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Integer

from cnnlab.data.argument_types import PositiveWholes
from cnnlab.errors import UserError
from cnnlab.evaluators.features import EvalResult, Features, overlap
from cnnlab.evaluators.similarities import Distance, blocks, nearest


def retrieval(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    ks: PositiveWholes = (1, 5, 10),
    distance: Distance = "cosine",
) -> EvalResult:
    """Return `recall@k` for each k and `map@r`, over the rows whose class has another row.

    Args:
        query: the split that is searched, each row in the others.
        train, val: not used.
        seed: of the order among rows that are equally near.
        similarity: learned similarity, or None.
        ks: how many are looked at; more than there are others counts as all of them.
        distance: "cosine" or "euclidean".

    Raises:
        UserError: a k is below 1, or no class has two rows.
    """
    if not ks or min(ks) < 1:
        raise UserError(f"retrieval needs each k to be 1 or more: ks={ks}")
    _, labels, counts = np.unique(query.label, return_inverse=True, return_counts=True)
    # Itself, and where a split names an example twice, the copies.
    own = overlap(query, query)
    copies = np.bincount(own[0], minlength=len(query))
    others = counts[labels] - copies
    searched = int((others > 0).sum())
    if not searched:
        raise UserError("retrieval needs a class with two examples or more; every class has one")
    depth = min(max(*ks, int(others.max())), len(query) - int(copies.max()))
    rng = np.random.default_rng(seed)
    found, precision = dict.fromkeys(ks, 0), 0.0
    features = query.features
    for part, block in blocks(features, features, distance=distance, similarity=similarity):
        here = slice(*np.searchsorted(own[0], (part.start, part.stop)))
        block[own[0][here] - part.start, own[1][here]] = -np.inf
        right = labels[nearest(block, depth, rng)] == labels[part][:, None]
        for k in ks:
            found[k] += int(right[:, :k].any(axis=1).sum())
        precision += float(average_precision_at_r(right, others[part]).sum())
    how = "learned similarity" if similarity is not None else distance
    values = {f"recall@{k}": found[k] / searched for k in ks}
    return EvalResult(
        setting=f"{how}, {searched} queries in {len(query)}",
        values={**values, "map@r": precision / searched},
    )


def average_precision_at_r(
    right: Bool[np.ndarray, "n k"], others: Integer[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return the average precision at R of each ranking; 0 where R is 0.

    Args:
        right: whether the i-th nearest is of the query's class; k is at least the largest R.
        others: R, how many of the class there are to be found.
    """
    places = np.arange(1, right.shape[1] + 1)
    right = right & (places <= others[:, None])
    precision = np.cumsum(right, axis=1) / places
    return (precision * right).sum(axis=1) / np.maximum(others, 1)
