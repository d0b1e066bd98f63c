"""Reduce one value an example to the loss of the global batch, without padding."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, Shaped


def expand(valid: Bool[Array, "..."], values: Shaped[Array, "..."]) -> Bool[Array, "..."]:
    """Return `valid` [b], or of more of the leading axes of `values`, in the shape of `values`."""
    trailing = values.ndim - valid.ndim
    return jnp.broadcast_to(valid.reshape(*valid.shape, *[1] * trailing), values.shape)


def labeled(
    labels: Integer[Array, "*b"], ignore: int, valid: Bool[Array, "..."] | None = None
) -> Bool[Array, "*b"]:
    """Return which labels count: those of valid examples that are not `ignore`, as 255 in maps."""
    kept = labels != ignore
    return kept if valid is None else kept & expand(valid, labels)


def masked_mean(
    values: Float[Array, "*b"],
    valid: Bool[Array, "..."] | None = None,
    axis_name: str | None = None,
) -> Float[Array, ""]:
    """Return the mean of the values that are valid, over the batch of all replicas.

    Under a named axis (`jax.pmap`) the replicas may hold different numbers of true examples, and
    then the mean of their means is not the mean. So each returns

        sum of its values * number of replicas / count over all replicas,

    of which `pmean` is the mean over the global batch; the same goes for the gradient.

    Args:
        values: this replica's values.
        valid: False for padding, with the leading axes of the values: [b] or all of them; None
            counts every value. What is not valid may be NaN. (A gradient sees 0 there, but 0
            times an infinite derivative further back is NaN.)
        axis_name: the axis of the replicas, None outside `pmap`.

    Returns:
        A float32 scalar; 0 where nothing is counted at all.
    """
    values = values.astype(jnp.float32)
    if valid is None:
        return jnp.mean(values)
    valid = expand(valid, values)
    total = jnp.sum(jnp.where(valid, values, 0.0))
    count, replicas = jnp.sum(valid, dtype=jnp.int32), 1
    if axis_name is not None:
        count, replicas = jax.lax.psum((count, 1), axis_name)
    return total * replicas / jnp.maximum(count, 1)
