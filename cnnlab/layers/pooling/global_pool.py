"""Global pooling: one number for each feature map, whatever the size of the image.

Lin, Chen & Yan 2014, Network in Network, section 3.2 (averages, in place of dense layers); maxima
in Oquab et al. 2015. [*batch, *spatial, c] -> [*batch, c]. No parameters.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Real

from cnnlab.errors import UserError


def global_avg_pool(
    x: Float[Array, "*batch_and_space c"], axes: int = 2
) -> Float[Array, "*batch c"]:
    """Return the mean of each feature map over the last `axes` spatial axes.

    Averaged in at least float32.

    Raises:
        UserError: for a rank that does not fit, or feature maps without values.
    """
    x = _columns(x, axes, "global_avg_pool")
    return x.mean(-2, dtype=jnp.promote_types(x.dtype, jnp.float32)).astype(x.dtype)


def global_max_pool(x: Real[Array, "*batch_and_space c"], axes: int = 2) -> Real[Array, "*batch c"]:
    """Return the largest value of each feature map over the last `axes` spatial axes.

    The gradient goes to the first of the largest in row-major order, as for `max_pool`. NaN wins.
    Errors as for `global_avg_pool`.
    """
    return _column_max(_columns(x, axes, "global_max_pool"))


def global_avg_pool_backward(
    x: Float[Array, "*batch_and_space c"], dy: Float[Array, "*batch c"], axes: int = 2
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of x: each of the n values of a map has dy / n."""
    columns = _columns(x, axes, "global_avg_pool_backward")
    return jnp.broadcast_to(dy[..., None, :] / columns.shape[-2], columns.shape).reshape(x.shape)


def global_max_pool_backward(
    x: Real[Array, "*batch_and_space c"], dy: Float[Array, "*batch c"], axes: int = 2
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of x: all of dy at the first of the largest values, 0 elsewhere."""
    columns = _columns(x, axes, "global_max_pool_backward")
    winner = columns.argmax(-2)
    place = jnp.arange(columns.shape[-2])[:, None]
    return jnp.where(place == winner[..., None, :], dy[..., None, :], 0).reshape(x.shape)


def _columns(x, axes: int, layer: str):
    """Return x as [*batch, values of a map, c]."""
    if not 1 <= axes <= 3:
        raise UserError(f"{layer}: axes={axes} must be 1, 2 or 3")
    if x.ndim < axes + 1:
        raise UserError(f"{layer}: x {x.shape} needs {axes} spatial axes and channels")
    space = x.shape[-1 - axes : -1]
    if math.prod(space) == 0:
        raise UserError(f"{layer}: x {x.shape} has feature maps without values")
    return x.reshape(*x.shape[: -1 - axes], math.prod(space), x.shape[-1])


@jax.custom_jvp
def _column_max(x):
    return x.max(-2)


@_column_max.defjvp
def _column_max_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    y = _column_max(x)
    last = x.shape[-2] - 1
    place = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 2)
    # Two plain reductions, where XLA's argmax is slow on CPU. A NaN equals nothing.
    found = (x == y[..., None, :]) | (x != x)  # noqa: PLR0124
    winner = jnp.where(lax.stop_gradient(found), place, last).min(-2, keepdims=True)
    return y, jnp.where(place == winner, t, jnp.zeros((), t.dtype)).sum(-2, dtype=t.dtype)


class GlobalAvgPool(nn.Module):
    """`global_avg_pool` as a module, without parameters, over the last `axes` spatial axes."""

    axes: int = 2

    def __call__(self, x: Float[Array, "*batch_and_space c"]) -> Float[Array, "*batch c"]:
        """Return the mean of each feature map."""
        return global_avg_pool(x, self.axes)


class GlobalMaxPool(nn.Module):
    """`global_max_pool` as a module, without parameters, over the last `axes` spatial axes."""

    axes: int = 2

    def __call__(self, x: Real[Array, "*batch_and_space c"]) -> Real[Array, "*batch c"]:
        """Return the largest value of each feature map."""
        return global_max_pool(x, self.axes)
