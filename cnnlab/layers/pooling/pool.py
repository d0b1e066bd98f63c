"""Max and average pooling over one, two or three axes of channels-last arrays.

LeCun et al. 1998, section II.A (averages); Krizhevsky et al. 2012, section 3.4 (maxima, windows
that overlap). Windows of k taps, s apart, over i values:

    o = floor((i + p_low + p_high - d (k - 1) - 1) / s) + 1

and with `ceil_mode` rounded up (Caffe, as GoogLeNet was trained), unless the last window would
start in the padding (PyTorch). `window` sets the number of axes: a single number is for two,
images; a sequence has one number for each axis. No parameters.
"""

import math
from functools import reduce

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis, Windows, flatten
from cnnlab.layers.pooling.cpu import window_max, window_sum
from cnnlab.layers.pooling.windows import windows_of


def max_pool(
    x: Real[Array, "*batch_and_space c"],
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "VALID",
    *,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Real[Array, "*batch_and_space_out c"]:
    """Return the largest value of each window; padding never wins, NaN does.

    The gradient goes to one value of each window, the first of its largest in row-major order.
    After a ReLU windows full of zeros are common, where sharing it would be another gradient. XLA's
    select-and-scatter and PyTorch choose the same one.

    On CPU the lowering is not XLA's own (`pooling.cpu`): same values, same winners. Differentiable
    any number of times, in forward and reverse mode.

    Args:
        x: [*batch, *spatial, c]; any number of batch axes; also of integers.
        window: taps along each axis; a single number is for two axes.
        stride: steps between windows: a number, or one for each axis; None takes the window.
        padding: "VALID", "SAME", numbers or pairs (`padding.pads_of`).
        dilation: distance of taps.
        ceil_mode: whether a last window may hang over the end.

    Raises:
        UserError: for ranks that do not fit, a window larger than the padded input, or a window,
            stride, dilation or padding that cannot be; it names them.
    """
    windows = windows_of(
        x, window, stride, padding, dilation=dilation, ceil_mode=ceil_mode, layer="max_pool"
    )
    y = window_max(flatten(x, len(windows.size)), windows)
    return y.reshape(*x.shape[: -1 - len(windows.size)], *y.shape[1:])


def avg_pool(
    x: Float[Array, "*batch_and_space c"],
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "VALID",
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "*batch_and_space_out c"]:
    """Return the mean of each window; arguments and errors as for `max_pool`.

    Summed in at least float32. With `count_include_pad` zeros of the padding count as values
    (flax's and PyTorch's default), without it a window at the border is divided by the number of
    its true values. What hangs over the end with `ceil_mode` never counts.
    """
    windows = windows_of(x, window, stride, padding, ceil_mode=ceil_mode, layer="avg_pool")
    total = window_sum(
        flatten(x, len(windows.size)).astype(jnp.promote_types(x.dtype, jnp.float32)), windows
    )
    y = (total / value_counts(windows, count_include_pad).astype(total.dtype)).astype(x.dtype)
    return y.reshape(*x.shape[: -1 - len(windows.size)], *y.shape[1:])


def value_counts(windows: Windows, count_include_pad: bool) -> np.ndarray:
    """Return how many values of each window count, [*out, 1]; a scalar where all are alike."""
    counts = []
    for i, k, s, (low, high), o in zip(
        windows.size, windows.taps, windows.stride, windows.pads, windows.out, strict=True
    ):
        start = np.arange(o) * s - low
        first, last = (-low, i + high) if count_include_pad else (0, i)
        counts.append(np.minimum(start + k, last) - np.maximum(start, first))
    if all((n == k).all() for n, k in zip(counts, windows.taps, strict=True)):
        return np.asarray(math.prod(windows.taps))
    return reduce(np.multiply, np.ix_(*counts))[..., None]


class MaxPool(nn.Module):
    """`max_pool` as a module, without parameters; the attributes are its arguments."""

    window: PerAxis
    stride: PerAxis | None = None
    padding: Padding = "VALID"
    dilation: PerAxis = 1
    ceil_mode: bool = False

    def __call__(
        self, x: Real[Array, "*batch_and_space c"]
    ) -> Real[Array, "*batch_and_space_out c"]:
        """Return the largest value of each window."""
        return max_pool(
            x,
            self.window,
            self.stride,
            self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )


class AvgPool(nn.Module):
    """`avg_pool` as a module, without parameters; the attributes are its arguments."""

    window: PerAxis
    stride: PerAxis | None = None
    padding: Padding = "VALID"
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __call__(
        self, x: Float[Array, "*batch_and_space c"]
    ) -> Float[Array, "*batch_and_space_out c"]:
        """Return the mean of each window."""
        return avg_pool(
            x,
            self.window,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )
