"""The contrastive loss: pairs of one class together, others at least a margin apart.

Hadsell, Chopra, LeCun 2006, equation 4, for a pair at distance D:

    1/2 D^2                   where both are of one class
    1/2 max(0, margin - D)^2  where they are not

[b] distances -> [b] losses. Deviations: none; the paper's Y is `not same`. Some texts leave the
halves out.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def contrastive(
    distance: Float[Array, "*b"], same: Bool[Array, "*b"], margin: float | int = 1.0
) -> Float[Array, "*b"]:
    """Return the loss of each pair.

    Gradient for the distance: D where same, D - margin for others closer than the margin, 0 for
    the rest. A pair of different classes at one point has a loss but, the distance having gradient
    0 there (`losses.distances`), no direction to go.

    Args:
        distance: Euclidean distances, 0 or more, any float type.
        same: whether the pair is of one class.
        margin: distance from which on different classes are far enough apart.
    """
    distance = distance.astype(jnp.float32)
    short = jnp.maximum(margin - distance, 0.0)
    return 0.5 * jnp.square(jnp.where(same, distance, short))
