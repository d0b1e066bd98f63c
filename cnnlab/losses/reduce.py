"""From a number an example to the loss of the global batch, padding left out."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def masked_mean(
    values: Float[Array, "*b"], mask: Bool[Array, "*b"] | None = None, axis_name: str | None = None
) -> Float[Array, ""]:
    """Return the mean of the values where the mask is true, over the batch of all replicas.

    Under a named axis (`jax.pmap`) the replicas may hold different numbers of true examples, and
    then the mean of their means is not the mean. So each returns

        sum of its values * number of replicas / count over all replicas,

    of which `pmean` is the mean over the global batch; the same goes for the gradient.

    Args:
        values: this replica's values.
        mask: False for padding; None counts every value. What the mask hides may be NaN. (A
            gradient sees 0 there, but 0 times an infinite derivative further back is NaN.)
        axis_name: the axis of the replicas, None outside `pmap`.

    Returns:
        A float32 scalar; 0 where nothing is counted at all.
    """
    values = values.astype(jnp.float32)
    if mask is None:
        return jnp.mean(values)
    total = jnp.sum(jnp.where(mask, values, 0.0))
    count, replicas = jnp.sum(mask, dtype=jnp.int32), 1
    if axis_name is not None:
        count, replicas = jax.lax.psum((count, 1), axis_name)
    return total * replicas / jnp.maximum(count, 1)
