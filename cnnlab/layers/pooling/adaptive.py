"""Average pooling to a size: any feature map becomes one of m values along each axis.

He et al. 2014 (spatial pyramid pooling), section 2.2. Window i of m over n values is

    from floor(i n / m) to ceil((i + 1) n / m), the latter not included

(PyTorch's rule): windows of n / m values where that is whole, else they overlap, by one value. With
m above n values repeat. [*batch, *spatial, c] -> [*batch, *output_size, c]. No parameters.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.windows import PerAxis, per_axis
from cnnlab.layers.pooling.pool import avg_pool


def adaptive_avg_pool(
    x: Float[Array, "*batch_and_space c"], output_size: PerAxis
) -> Float[Array, "*batch_and_space_out c"]:
    """Return the means of `output_size` windows that cover `x` evenly.

    Averaged in at least float32. Where sizes agree it is `x` itself, and where they divide it is
    `avg_pool`.

    Args:
        x: [*batch, *spatial, c]; any number of batch axes.
        output_size: windows along each axis; a single number is for two axes.

    Raises:
        UserError: for a rank that does not fit, an axis without values, or a size below 1.
    """
    out = _sizes(x, output_size, "adaptive_avg_pool")
    size = x.shape[-1 - len(out) : -1]
    if size == out:
        return x
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    whole = tuple(1 if n % m else n // m for n, m in zip(size, out, strict=True))
    y = avg_pool(y, whole)
    for axis, m in enumerate(out, x.ndim - 1 - len(out)):
        if y.shape[axis] != m:
            # Slices and sums: a matrix of weights would count as multiply-adds of the network.
            means = [
                lax.slice_in_dim(y, start, end, axis=axis).mean(axis, keepdims=True)
                for start, end in edges(y.shape[axis], m)
            ]
            y = jnp.concatenate(means, axis)
    return y.astype(x.dtype)


def adaptive_avg_pool_backward(
    x: Float[Array, "*batch_and_space c"],
    dy: Float[Array, "*batch_and_space_out c"],
    output_size: PerAxis,
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of `x`: each value has dy / size of every window that reads it.

    Only the shape of `x` matters. The mean over a window is one over its rows of those over its
    columns, so the axes are processed one by one. Errors as for `adaptive_avg_pool`, and a
    `UserError` for a `dy` that has another shape than its result.
    """
    out = _sizes(x, output_size, "adaptive_avg_pool_backward")
    first = x.ndim - 1 - len(out)
    expected = (*x.shape[:first], *out, x.shape[-1])
    if dy.shape != expected:
        raise UserError(
            f"adaptive_avg_pool_backward: dy {dy.shape} must have the shape of the result, "
            f"{expected}"
        )
    dx = dy.astype(jnp.promote_types(dy.dtype, jnp.float32))
    for axis, n in enumerate(x.shape[first:-1], first):
        moved = jnp.moveaxis(dx, axis, 0)
        spread = jnp.zeros((n, *moved.shape[1:]), dx.dtype)
        for i, (start, end) in enumerate(edges(n, moved.shape[0])):
            spread = spread.at[start:end].add(moved[i] / (end - start))
        dx = jnp.moveaxis(spread, 0, axis)
    return dx.astype(x.dtype)


def edges(n: int, m: int) -> list[tuple[int, int]]:
    """Return where each of `m` windows over `n` values starts, and where it has ended."""
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


def _sizes(x, output_size: PerAxis, layer: str) -> tuple[int, ...]:
    axes = 2 if isinstance(output_size, int) else len(output_size)
    out = per_axis(output_size, axes, "output_size", layer)
    if not 1 <= axes <= 3:
        raise UserError(f"{layer}: output_size={output_size} needs numbers for 1 to 3 axes")
    if x.ndim < axes + 1:
        raise UserError(f"{layer}: x {x.shape} needs {axes} spatial axes and channels")
    if 0 in x.shape[-1 - axes : -1]:
        raise UserError(f"{layer}: x {x.shape} has feature maps without values")
    return out


class AdaptiveAvgPool(nn.Module):
    """`adaptive_avg_pool` as a module, without parameters, to `output_size` windows."""

    output_size: PerAxis

    def __call__(
        self, x: Float[Array, "*batch_and_space c"]
    ) -> Float[Array, "*batch_and_space_out c"]:
        """Return the means of the windows; errors as for `adaptive_avg_pool`."""
        return adaptive_avg_pool(x, self.output_size)
