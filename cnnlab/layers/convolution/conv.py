"""Convolution over one, two or three axes.

LeCun et al. 1998, section II.A; Dumoulin & Visin 2016. For images, with zeros outside:

    y[n, i, j, o] = b[o] + sum over u, v, c of x[n, s i + d u - p, s j + d v - p, c] w[u, v, c, o]

which is cross-correlation: nothing is flipped. A *kernel* is the slice w[:, :, c, o] that reads
one feature map; a *filter* is all of them, w[:, :, :, o], and makes one feature map; each filter
has one bias. With g groups, filter o reads only the c_in / g channels of its group.
Parameters: k^n (c_in / g) c_out + c_out.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution import cpu
from cnnlab.layers.convolution.cpu.conv_spec import LETTERS, ConvSpec, native
from cnnlab.layers.convolution.padding import Padding, pad
from cnnlab.layers.convolution.windows import PerAxis, flatten, window_of, windows
from cnnlab.layers.initializers import he_normal, zeros


def conv(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*window c_of_group c_out"],
    bias: Float[Array, " c_out"] | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Float[Array, "*batch_and_space_out c_out"]:
    """Return the convolution of channels-last `x` with `kernel`, over as many axes as it has.

    On CPU some shapes have a lowering of our own (`cnnlab.layers.convolution.cpu`), equal to
    XLA's up to rounding; on other platforms none has.

    Args:
        x: [*batch, *spatial, c_in]; any number of batch axes, of any size.
        kernel: [*window, c_in / groups, c_out].
        bias: one number a filter.
        stride: steps between windows: a number, or one for each axis.
        padding: see `padding.pads_of`: "SAME", "VALID", "CAUSAL", numbers or pairs.
        padding_mode: what it is filled with: "zeros", "circular" or "reflect".
        dilation: distance of taps (Yu & Koltun 2016); 1 is none.
        groups: independent parts of the channels (Krizhevsky et al. 2012).

    Raises:
        UserError: for ranks, channels, groups or dtypes that do not fit, a window larger than the
            padded input, or stride, dilation or padding that cannot be; it names them.
    """
    axes = kernel.ndim - 2
    check(x, kernel, bias, groups, "conv")
    size, taps = x.shape[-1 - axes : -1], kernel.shape[:-2]
    over = windows(size, taps, stride=stride, padding=padding, dilation=dilation, layer="conv")
    pads = over.pads
    if padding_mode != "zeros":
        x, pads = pad(x, pads, padding_mode, "conv"), ((0, 0),) * axes
    y = correlate(flatten(x, axes), kernel, over.stride, pads, over.dilation, groups)
    y = y.reshape(*x.shape[: -1 - axes], *over.out, kernel.shape[-1])
    return y if bias is None else y + bias


def correlate(x, kernel, stride, pads, dilation, groups):
    """Return `conv` without its checks, for [b, *spatial, c]; on CPU by the selected lowering."""
    spec = ConvSpec(x.shape, kernel.shape, stride, pads, dilation, groups)
    lowering, plain = cpu.select_in_float32(spec), partial(native, spec)
    if lowering is None:
        return plain(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=lowering, default=plain)


def check(x, kernel, bias, groups: int, layer: str) -> None:
    """Raise a `UserError` for arrays that do not fit each other."""
    axes = kernel.ndim - 2
    if axes not in LETTERS:
        raise UserError(f"{layer}: kernel {kernel.shape} needs 1 to 3 axes before its channels")
    if x.ndim < axes + 1:
        raise UserError(
            f"{layer}: x {x.shape} needs {axes} spatial axes and channels for kernel {kernel.shape}"
        )
    if groups < 1 or x.shape[-1] % groups or kernel.shape[-1] % groups:
        raise UserError(
            f"{layer}: groups={groups} must divide the {x.shape[-1]} channels of x and the "
            f"{kernel.shape[-1]} filters"
        )
    if x.shape[-1] // groups != kernel.shape[-2]:
        raise UserError(
            f"{layer}: x has {x.shape[-1]} channels in {groups} group(s), the kernel "
            f"{kernel.shape} takes {kernel.shape[-2]}"
        )
    if bias is not None and bias.shape != kernel.shape[-1:]:
        raise UserError(f"{layer}: bias {bias.shape} for {kernel.shape[-1]} filters")
    dtypes = {str(a.dtype) for a in (x, kernel, bias) if a is not None}
    if len(dtypes) > 1:
        raise UserError(f"{layer}: x, kernel and bias have dtypes {sorted(dtypes)}: cast to one")


class Conv(nn.Module):
    """Convolution with parameters `kernel` [*window, c_in / groups, features] and `bias`.

    The arguments are those of `conv`. The length of `kernel_size` says over how many axes.

    Attributes:
        features: number of filters.
        kernel_size: taps along each axis; a single number is refused, as it leaves the axes open.
        stride: steps between windows.
        padding: "SAME", "VALID", "CAUSAL", numbers or pairs.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.
        groups: independent parts of the channels.
        use_bias: one bias a filter; without where a norm follows.
        kernel_init: initial weights; He et al. 2015 by default.
        bias_init: initial bias.
        convolve: its implementation: `conv` or `im2col.conv_im2col`.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    kernel_size: PerAxis
    stride: PerAxis = 1
    padding: Padding = "SAME"
    padding_mode: str = "zeros"
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Callable[..., Array] = he_normal
    bias_init: Callable[..., Array] = zeros
    convolve: Callable[..., Array] = conv
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch_and_space c_in"]
    ) -> Float[Array, "*batch_and_space_out features"]:
        """Return the feature maps; errors as for `conv`."""
        window = window_of(self.kernel_size, "Conv")
        if self.groups < 1 or x.shape[-1] % self.groups:
            raise UserError(f"Conv: groups={self.groups} must divide {x.shape[-1]} channels")
        shape = (*window, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return self.convolve(
            x,
            kernel,
            bias,
            stride=self.stride,
            padding=self.padding,
            padding_mode=self.padding_mode,
            dilation=self.dilation,
            groups=self.groups,
        )
