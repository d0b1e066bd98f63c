"""VICReg, Barlow Twins and SimSiam's cosine: losses of two views without negatives.

- `negative_cosine`: Chen, He 2021 (SimSiam), equation 1; also BYOL's (Grill et al. 2020, equation
  2), which is 2 + 2 times this. [b, d], [b, d] -> [b].
- `vicreg`: Bardes, Ponce, LeCun 2022, equations 1 to 6. [b, d], [b, d] -> scalar.
- `barlow_twins`: Zbontar et al. 2021, equations 1 and 2. [b, d], [b, d] -> scalar.

The last two compare statistics of the batch: under `pmap` those of the global batch, which every
replica computes from the gathered rows.

Deviations: VICReg's invariance is a mean over the d dimensions too, as in the paper's algorithm 1
(equation 5 sums over them): the weights 25, 25, 1 are for that. The authors' code halves the sum
of the two variance terms, the paper does not; `variance=12.5` is their code. Barlow Twins'
standard deviations have an epsilon of 1e-5 under the root, as the BatchNorm of the authors' code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.losses.cross_replica import gather
from cnnlab.losses.distances import unit

# Under the roots of variances, whose derivatives are infinite at 0 without.
VICREG_EPSILON = 1e-4
BARLOW_EPSILON = 1e-5


class VICRegParts(NamedTuple):
    """The terms of VICReg before their weights: scalars of the global batch.

    Attributes:
        invariance: mean squared difference of the two views.
        variance: of both views, mean over dimensions of what standard deviations lack to 1.
        covariance: of both views, sum of the squared covariances of different dimensions, over d.
    """

    invariance: Float[Array, ""]
    variance: Float[Array, ""]
    covariance: Float[Array, ""]


class BarlowParts(NamedTuple):
    """The terms of Barlow Twins before their weights: scalars of the global batch.

    Attributes:
        invariance: sum over dimensions of (1 - correlation of the two views)^2.
        redundancy: sum of the squared correlations of different dimensions.
    """

    invariance: Float[Array, ""]
    redundancy: Float[Array, ""]


def negative_cosine(
    prediction: Float[Array, "*b d"], target: Float[Array, "*b d"]
) -> Float[Array, "*b"]:
    """Return -cos(prediction, target); 0, with gradient 0, where one of them is 0.

    Differentiated by both: whoever wants the target fixed stops its gradient.
    """
    return -jnp.sum(unit(prediction) * unit(target), axis=-1)


def vicreg(
    first: Float[Array, "b d"],
    second: Float[Array, "b d"],
    *,
    invariance: float | int = 25.0,
    variance: float | int = 25.0,
    covariance: float | int = 1.0,
    axis_name: str | None = None,
) -> tuple[Float[Array, ""], VICRegParts]:
    """Return the loss of the global batch, which has to have two rows or more, and its terms.

    Args:
        first: embeddings of one view, any float type.
        second: of the other.
        invariance: weight of the views being alike.
        variance: weight of the standard deviation of each dimension being 1 or more.
        covariance: weight of dimensions being uncorrelated.
        axis_name: the axis of the replicas.
    """
    first, second = (gather(x.astype(jnp.float32), axis_name) for x in (first, second))
    parts = VICRegParts(
        jnp.mean(jnp.square(first - second)),
        _lack_of_variance(first) + _lack_of_variance(second),
        _covariance(first) + _covariance(second),
    )
    loss = invariance * parts.invariance + variance * parts.variance + covariance * parts.covariance
    return loss, parts


def barlow_twins(
    first: Float[Array, "b d"],
    second: Float[Array, "b d"],
    *,
    redundancy: float | int = 5e-3,
    axis_name: str | None = None,
) -> tuple[Float[Array, ""], BarlowParts]:
    """Return the loss of the global batch and its terms.

    Args:
        first: embeddings of one view, any float type.
        second: of the other.
        redundancy: weight of different dimensions being uncorrelated, the paper's lambda.
        axis_name: the axis of the replicas.
    """
    first, second = (gather(x.astype(jnp.float32), axis_name) for x in (first, second))
    correlations = _product(_standardized(first), _standardized(second)) / first.shape[0]
    diagonal = jnp.diagonal(correlations)
    parts = BarlowParts(jnp.sum(jnp.square(1 - diagonal)), _off_diagonal(correlations))
    return parts.invariance + redundancy * parts.redundancy, parts


def _product(a, b):
    return jnp.matmul(a.T, b, precision=jax.lax.Precision.HIGHEST)


def _centered(x):
    return x - jnp.mean(x, axis=0)


def _lack_of_variance(x):
    variances = jnp.sum(jnp.square(_centered(x)), axis=0) / max(len(x) - 1, 1)
    return jnp.mean(jnp.maximum(1 - jnp.sqrt(variances + VICREG_EPSILON), 0.0))


def _covariance(x):
    centered = _centered(x)
    return _off_diagonal(_product(centered, centered) / max(len(x) - 1, 1)) / x.shape[1]


def _standardized(x):
    centered = _centered(x)
    variances = jnp.mean(jnp.square(centered), axis=0)
    return centered * jax.lax.rsqrt(variances + BARLOW_EPSILON)


def _off_diagonal(matrix):
    return jnp.sum(jnp.where(jnp.eye(matrix.shape[0], dtype=bool), 0.0, jnp.square(matrix)))
