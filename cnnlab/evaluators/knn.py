"""k nearest neighbors of the training split vote on the class, near ones counting more.

Wu, Xiong, Yu, Lin 2018 (instance discrimination), section 3.4: cosine similarity s, weight
exp(s / T), T = 0.07, k = 200. Caron et al. 2021 (DINO) find k = 20 the best; so here.
Shapes: query [n, d], train [m, d] -> share of the n that are right.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Integer

from cnnlab.data.argument_types import NonNegative, PositiveWhole
from cnnlab.errors import UserError
from cnnlab.evaluators.features import EvalResult, Features, overlap
from cnnlab.evaluators.similarities import Distance, blocks, nearest


def knn(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    k: PositiveWhole = 20,
    temperature: NonNegative = 0.07,
    distance: Distance = "cosine",
    leave_one_out: bool = False,
) -> EvalResult:
    """Return `accuracy` with k neighbors and `accuracy_1` with the nearest alone.

    Classes that receive the same vote share the point; among rows equally near the seed draws.

    Args:
        query: what to classify.
        train: labeled neighbors. A row of the query that is in it leaves itself out.
        val: not used.
        seed: of the order among rows that are equally near.
        similarity: learned similarity, or None.
        k: neighbors that vote, at most the whole bank.
        temperature: T of the weights exp(s / T); 0: each neighbor counts the same.
        distance: "cosine", or "euclidean", which has no scale that T could fit: each neighbor
            counts the same.
        leave_one_out: query and bank are the same rows though not the same object.

    Raises:
        UserError: k is below 1 or the bank holds no neighbor.
    """
    if leave_one_out and len(query) != len(train):
        raise UserError(f"leave_one_out needs the same rows: {len(query)} and {len(train)}")
    own = (np.arange(len(query)),) * 2 if leave_one_out else overlap(query, train)
    copies = np.bincount(own[0], minlength=len(query))
    others = len(train) - int(copies.max())
    if k < 1 or others < 1:
        raise UserError(f"knn needs k of 1 or more and a neighbor: k={k}, bank of {len(train)}")
    fewer = f" (k={k} is more than there are)" if k > others else ""
    k = min(k, others)
    if similarity is None and distance != "cosine":
        temperature = 0.0
    classes, labels = np.unique(train.label, return_inverse=True)
    rng = np.random.default_rng(seed)
    right = right_1 = 0.0
    for part, block in blocks(
        query.features, train.features, distance=distance, similarity=similarity
    ):
        here = slice(*np.searchsorted(own[0], (part.start, part.stop)))
        block[own[0][here] - part.start, own[1][here]] = -np.inf
        chosen = nearest(block, k, rng)
        near = np.take_along_axis(block, chosen, axis=1)
        votes = _votes(labels[chosen], near, temperature, len(classes))
        truth = query.label[part]
        right += _credit(votes, classes, truth)
        right_1 += float((classes[labels[chosen[:, 0]]] == truth).sum())
    how = "learned similarity" if similarity is not None else distance
    weights = f"T={temperature:g}" if temperature else "equal votes"
    inside = int((copies > 0).sum())
    some = f": {inside} of {len(query)} rows are in the bank" if inside < len(query) else ""
    return EvalResult(
        setting=f"{k}-NN{fewer}, {how}, {weights}, bank of {len(train)}"
        + (f", leave one out{some}" if inside else ""),
        values={"accuracy": right / len(query), "accuracy_1": right_1 / len(query)},
    )


def _votes(
    labels: Integer[np.ndarray, "n k"],
    near: Float[np.ndarray, "n k"],
    temperature: float,
    classes: int,
) -> Float[np.ndarray, "n c"]:
    # Relative to the nearest, so that no weight overflows.
    weights = np.exp((near - near[:, :1]) / temperature) if temperature else np.ones_like(near)
    votes = np.zeros((len(labels), classes))
    np.add.at(votes, (np.arange(len(labels))[:, None], labels), weights)
    return votes


def _credit(
    votes: Float[np.ndarray, "n c"],
    classes: Integer[np.ndarray, "c"],
    truth: Integer[np.ndarray, "n"],
) -> float:
    best = votes == votes.max(axis=1, keepdims=True)
    hit = (best & (classes == truth[:, None])).any(axis=1)
    return float((hit / best.sum(axis=1)).sum())
