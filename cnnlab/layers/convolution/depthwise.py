"""Depthwise convolution: each filter reads one channel.

Sifre 2014; Howard et al. 2017 (MobileNets), equation 3. As many groups as channels:

    y[n, i, j, c] = b[c] + sum over u, v of x[n, s i + d u - p, s j + d v - p, c] w[u, v, c]

or, with a multiplier m, m such filters for each channel. Parameters: k^n m c + m c.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.conv_backward import bias_gradient, check_incoming
from cnnlab.layers.convolution.padding import Padding, pad, unpad
from cnnlab.layers.convolution.windows import PerAxis, window_of, windows
from cnnlab.layers.initializers import he_normal, zeros


def depthwise_conv(
    x: Float[Array, "*batch_and_space c"],
    kernel: Float[Array, "*window c_one c_out"],
    bias: Float[Array, " c_bias"] | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
) -> Float[Array, "*batch_and_space_out c_out"]:
    """Return the convolution of each channel with filters of its own, m for each.

    Args:
        x: [*batch, *spatial, c].
        kernel: [*window, 1, m c]; filters m i to m (i + 1) - 1 read channel i.
        bias: one number a filter.
        stride: as for `conv`, and so the others.
        padding: amounts or their name.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.

    Raises:
        UserError: as `conv`.
    """
    _check_kernel(x, kernel, "depthwise_conv")
    return conv(
        x,
        kernel,
        bias,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
        groups=x.shape[-1],
    )


def depthwise_conv_backward(
    x: Float[Array, "*batch_and_space c"],
    kernel: Float[Array, "*window c_one c_out"],
    dy: Float[Array, "*batch_and_space_out c_out"],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
) -> tuple[
    Float[Array, "*batch_and_space c"],
    Float[Array, "*window c_one c_out"],
    Float[Array, " c_out"],
]:
    """Return (dx, dkernel, dbias) of `depthwise_conv` for incoming derivatives `dy`.

    The backward pass of a convolution without its sums over channels: for every channel c, filter
    j of its m, and tap u, with x padded,

        dw[u, c, j] = sum over n, i of dy[n, i, c, j] x[n, s i + d u, c]
        dx[n, a, c] = sum over j, and i, u with s i + d u = a, of dy[n, i, c, j] w[u, c, j]

    Args:
        x: input of `depthwise_conv`.
        kernel: its kernel, [*window, 1, m c].
        dy: derivatives of the loss with respect to its output.
        stride: as for `conv`, and so the others.
        padding: amounts or their name.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.

    Raises:
        UserError: as `conv`, and for a `dy` of another shape or dtype than its output.
    """
    layer, channels, axes = "depthwise_conv_backward", x.shape[-1], kernel.ndim - 2
    _check_kernel(x, kernel, layer)
    size, taps = x.shape[-1 - axes : -1], kernel.shape[:-2]
    over = windows(size, taps, stride=stride, padding=padding, dilation=dilation, layer=layer)
    check_incoming(dy, x, (*x.shape[: -1 - axes], *over.out, kernel.shape[-1]), layer)
    padded = pad(x, over.pads, padding_mode, layer)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    each_has = kernel.shape[-1] // channels
    by_channel = dy.astype(wide).reshape(*dy.shape[:-1], channels, each_has)
    weights = kernel.astype(wide).reshape(*taps, channels, each_has)
    dkernel, parts = [], {}
    for tap in over.tap_indices():
        values = over.gather_tap(padded, tap)
        products = by_channel * values.astype(wide)[..., None]
        dkernel.append(jnp.sum(products, axis=range(dy.ndim - 1)))
        parts[tap] = jnp.sum(by_channel * weights[tap], axis=-1)
    dpadded = over.scatter_taps(parts, padded.shape[-1 - axes : -1])
    dx = unpad(dpadded, over.pads, padding_mode).astype(x.dtype)
    return dx, jnp.stack(dkernel).reshape(kernel.shape).astype(x.dtype), bias_gradient(dy)


def _check_kernel(x, kernel, layer: str) -> None:
    if kernel.ndim < 3 or x.ndim < kernel.ndim - 1:
        raise UserError(f"{layer}: x {x.shape} and kernel {kernel.shape} do not fit each other")
    if x.shape[-1] == 0:
        raise UserError(f"{layer}: x {x.shape} has no channels")
    if kernel.shape[-2] != 1 or kernel.shape[-1] % x.shape[-1]:
        raise UserError(
            f"{layer}: kernel {kernel.shape} must be [*window, 1, a multiple of the "
            f"{x.shape[-1]} channels of x]"
        )


class DepthwiseConv(nn.Module):
    """Depthwise convolution with parameters `kernel` [*window, 1, m c] and `bias`.

    Attributes:
        kernel_size: taps along each axis; their count says over how many axes.
        multiplier: filters for each channel, m.
        stride: steps between windows.
        padding: "SAME", "VALID", "CAUSAL", numbers or pairs.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.
        use_bias: one bias a filter.
        kernel_init: initial weights; He et al. 2015 by default.
        bias_init: initial bias.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    kernel_size: Sequence[int]
    multiplier: int = 1
    stride: PerAxis = 1
    padding: Padding = "SAME"
    padding_mode: str = "zeros"
    dilation: PerAxis = 1
    use_bias: bool = True
    kernel_init: Callable[..., Array] = he_normal
    bias_init: Callable[..., Array] = zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch_and_space c"]
    ) -> Float[Array, "*batch_and_space_out c_out"]:
        """Return m feature maps for each channel; errors as for `conv`."""
        window = window_of(self.kernel_size, "DepthwiseConv")
        if self.multiplier < 1:
            raise UserError(f"DepthwiseConv: multiplier={self.multiplier} must be at least 1")
        filters = self.multiplier * x.shape[-1]
        shape = (*window, 1, filters)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (filters,), self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return depthwise_conv(
            x,
            kernel,
            bias,
            stride=self.stride,
            padding=self.padding,
            padding_mode=self.padding_mode,
            dilation=self.dilation,
        )
