"""Examples of all replicas for losses that compare one example with others.

Under `jax.pmap` a replica sees its own rows only; under `jax.jit` the batch is global already and
nothing has to be gathered. `gather` can be differentiated: the gradient that other replicas have
for a row comes back to the replica that owns it.

A replica that returns the mean over its own rows, each compared with all gathered rows, or a
number of the gathered rows that is the same on every replica, has a loss whose `pmean` is the loss
of the global batch, and a gradient whose `pmean` is its gradient. No factor of the number of
replicas is needed.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Integer, Shaped


def gather(x: Shaped[Array, "b *rest"], axis_name: str | None = None) -> Shaped[Array, "n *rest"]:
    """Return the rows of all replicas in their order, [n, ...] with n = b * replicas.

    Args:
        x: this replica's rows.
        axis_name: the axis of the replicas; None returns x.
    """
    if axis_name is None:
        return x
    return jax.lax.all_gather(x, axis_name, tiled=True)


def first_row(rows: int, axis_name: str | None = None) -> Integer[Array, ""]:
    """Return the index that the first of this replica's `rows` has among the gathered ones."""
    if axis_name is None:
        return jnp.zeros((), jnp.int32)
    return jax.lax.axis_index(axis_name) * rows
