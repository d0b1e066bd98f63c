"""How far embeddings are spread over the sphere: 1 for evenly, 0 for collapsed to a point.

Chen, He 2021 (SimSiam), section 4.1: the standard deviation of the L2-normalized embeddings over
the batch, mean over their d dimensions, is 1 / sqrt(d) for directions that are evenly distributed;
multiplied by sqrt(d) here, so that 1 is the healthy value whatever d. [b, d] -> a `Mean`.

Deviations: none but the factor.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from cnnlab.losses.cross_replica import gather
from cnnlab.losses.distances import unit
from cnnlab.metrics.metric import Mean


def spread(units: Float[Array | np.ndarray, "n d"]) -> Any:
    """Return the mean over dimensions of unit vectors' standard deviation, times sqrt(d)."""
    return units.std(axis=0).mean() * units.shape[1] ** 0.5


def embedding_std(embeddings: Float[Array, "b d"], axis_name: str | None = None) -> Mean:
    """Return the spread of the global batch's embeddings, as a mean of one value.

    Args:
        embeddings: any float type; normalized here. No gradient flows back.
        axis_name: the axis of the replicas, each of which returns the same.
    """
    rows = gather(unit(jax.lax.stop_gradient(embeddings)), axis_name)
    return Mean.of(spread(rows))
