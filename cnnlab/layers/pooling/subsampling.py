"""LeNet's trainable subsampling: sums of windows, with a coefficient and a bias for each map.

LeCun et al. 1998, section II.B, layers S2 and S4:

    y[n, i, j, c] = a[c] * (sum over u, v of x[n, s i + u, s j + v, c]) + b[c]

followed by a squashing function: the scaled tanh of the paper's appendix A, or any other.
Parameters: two a map, 12 for the 6 maps of S2 and 32 for the 16 of S4.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.windows import PerAxis, flatten
from cnnlab.layers.pooling.cpu import window_sum
from cnnlab.layers.pooling.pool_backward import scatter_shares
from cnnlab.layers.pooling.windows import windows_of


def subsample(
    x: Float[Array, "*batch_and_space c"],
    coefficient: Float[Array, " c_coefficient"],
    bias: Float[Array, " c_bias"],
    window: PerAxis = 2,
    stride: PerAxis | None = None,
) -> Float[Array, "*batch_and_space_out c"]:
    """Return `coefficient` times the sums of the windows of `x`, plus `bias`.

    Args:
        x: [*batch, *spatial, c].
        coefficient: one number for each map; 1 / (number of taps) makes means of the sums.
        bias: one number for each map.
        window: taps along each axis; a single number is for two axes.
        stride: steps between windows; None takes the window, as in the paper.

    Raises:
        UserError: for ranks, channels or dtypes that do not fit, or a window larger than `x`.
    """
    _check(x, coefficient, bias)
    return coefficient * _sums(x, window, stride) + bias


def subsample_backward(
    x: Float[Array, "*batch_and_space c"],
    coefficient: Float[Array, " c"],
    dy: Float[Array, "*batch_and_space_out c"],
    window: PerAxis = 2,
    stride: PerAxis | None = None,
) -> tuple[
    Float[Array, "*batch_and_space c"],
    Float[Array, " c"],
    Float[Array, " c"],
]:
    """Return the gradients (dx, dcoefficient, dbias) for the gradient `dy` of `subsample`.

    dx has coefficient times dy in all places of a window; dcoefficient sums dy times the sum of
    the window, and dbias sums dy, over all windows of a map.
    """
    windows = windows_of(x, window, stride, layer="subsample_backward")
    axes = len(windows.size)
    share = flatten(coefficient * dy, axes)
    dx = scatter_shares(share.astype(x.dtype), windows).reshape(x.shape)
    every = tuple(range(dy.ndim - 1))
    dcoefficient = (dy * _sums(x, window, stride)).sum(every)
    return dx, dcoefficient, dy.sum(every)


def _sums(x, window: PerAxis, stride: PerAxis | None):
    windows = windows_of(x, window, stride, layer="subsample")
    axes = len(windows.size)
    total = window_sum(flatten(x, axes).astype(jnp.promote_types(x.dtype, jnp.float32)), windows)
    return total.astype(x.dtype).reshape(*x.shape[: -1 - axes], *total.shape[1:])


def _check(x, coefficient, bias) -> None:
    for name, value in (("coefficient", coefficient), ("bias", bias)):
        if value.shape != x.shape[-1:]:
            raise UserError(f"subsample: {name} {value.shape} for {x.shape[-1]} maps")
        if value.dtype != x.dtype:
            raise UserError(
                f"subsample: x is {x.dtype} and {name} is {value.dtype}: cast to one dtype"
            )


class Subsampling(nn.Module):
    """`subsample` with parameters `coefficient` and `bias`, one of each for every map.

    Attributes:
        window: taps along each axis; a single number is for two axes.
        stride: steps between windows; None takes the window.
        activation: applied to the result; None for none.
        coefficient_init: initial coefficients; 1/4 makes means of windows of 2x2.
        bias_init: initial bias.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    window: PerAxis = 2
    stride: PerAxis | None = None
    activation: Callable[[Array], Array] | None = None
    coefficient_init: Callable[..., Array] = nn.initializers.constant(0.25)
    bias_init: Callable[..., Array] = nn.initializers.zeros_init()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch_and_space c"]
    ) -> Float[Array, "*batch_and_space_out c"]:
        """Return the subsampled maps; errors as for `subsample`."""
        shape = x.shape[-1:]
        coefficient = self.param("coefficient", self.coefficient_init, shape, self.param_dtype)
        bias = self.param("bias", self.bias_init, shape, self.param_dtype)
        x, coefficient, bias = nn.dtypes.promote_dtype(x, coefficient, bias, dtype=self.dtype)
        y = subsample(x, coefficient, bias, self.window, self.stride)
        return y if self.activation is None else self.activation(y)
