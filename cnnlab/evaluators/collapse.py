"""Whether an embedding has collapsed: how far it spreads, and over how many dimensions.

Chen & He 2021 (SimSiam), section 4.1: standard deviation of the L2-normalized features. Roy &
Vetterli 2007: the effective rank. Shapes: features [n, d] -> two numbers.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from cnnlab.data.argument_types import NonNegative
from cnnlab.evaluators.features import EvalResult, Features
from cnnlab.evaluators.similarities import unit
from cnnlab.metrics.spread import spread

# Singular values below this part of the features' size are float32's rounding errors.
NOISE = 1e-6


def collapse(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    least_std: NonNegative = 0.02,
    least_rank: NonNegative = 1.5,
) -> EvalResult:
    """Return `embedding_std`, `effective_rank`, and `collapsed`, 1 if one of them is too small.

    An embedding of d numbers for c classes has a rank of d or, at its best, c - 1: where this is
    1 the rank says nothing, and only the spread decides.

    Args:
        query: the split that is looked at.
        train, val, seed, similarity: not used.
        least_std: below it all points are about the same; 1 is a sphere covered evenly. Averages
            of rectified features are all positive and so never far apart: those of healthy
            networks were found down to 0.06.
        least_rank: below it all points are about on one line.
    """
    std, rank = embedding_std(query.features), effective_rank(query.features)
    room = min(query.features.shape[1], len(query) - 1)
    if "label" in query.keys:
        room = min(room, len(np.unique(query.label)) - 1)
    found = std < least_std or (rank < least_rank and room > 1)
    return EvalResult(
        setting=f"collapsed: std < {least_std:g} or effective rank < {least_rank:g}",
        values={"embedding_std": std, "effective_rank": rank, "collapsed": float(found)},
    )


def collapsed(score: EvalResult) -> bool:
    """Return whether a score of `collapse` says that the embedding has collapsed."""
    return bool(score.values["collapsed"])


def embedding_std(features: Float[np.ndarray, "n d"]) -> float:
    """Return the mean over dimensions of the L2-normalized features' deviation, times sqrt(d).

    1: spread over the sphere; 0: all in one direction.
    """
    return float(spread(unit(features)))


def effective_rank(features: Float[np.ndarray, "n d"]) -> float:
    """Return exp of the entropy of the centered features' singular values, scaled to sum to 1.

    r equal directions have rank r; features that do not differ have rank 0.
    """
    rows = features.astype(np.float64)
    size = np.linalg.norm(rows)
    rows = rows - rows.mean(axis=0)
    products = rows.T @ rows if rows.shape[0] >= rows.shape[1] else rows @ rows.T
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(products), 0))
    values = values[values > NOISE * size]
    if not len(values):
        return 0.0
    share = values / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
