"""Convolutions whose windows share no value: one matrix product.

Kernels of 1x1 (Lin et al. 2014), kernels as large as the padded input (c5 of LeCun et al. 1998),
and windows that tile it (the patches of Dosovitskiy et al. 2021).
"""

import math
from functools import partial

import jax
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting
from cnnlab.layers.convolution.cpu.with_gradients import bilinear

# The sides of a kernel whose gradient gains by turning the rows, which takes a pass over them.
NARROW, WIDE = 128, 256


def pick(setting: Setting) -> Form | None:
    """Return the product, where windows share no value."""
    if setting.groups > 1:
        return None
    if math.prod(setting.window) == 1:
        return partial(pointwise, setting)
    if max(setting.dilation) > 1:
        return None
    if max(setting.out) == 1:
        return partial(whole, setting)
    if setting.window == setting.stride:
        return partial(tiles, setting)
    return None


def pointwise(setting: Setting, x, kernel):
    """One tap: the values that the stride hits, times the matrix."""
    seen = setting.seen(setting.padded(x), (0,) * setting.axes)
    return rows_times(seen, kernel)


def whole(setting: Setting, x, kernel):
    """One window: the dot product of every example with every filter.

    XLA computes its gradient as a convolution over a padded image.
    """
    window = setting.padded(x)[(slice(None), *(slice(k) for k in setting.window))]
    return rows_times(window.reshape(x.shape[0], *setting.out, -1), kernel)


def tiles(setting: Setting, x, kernel):
    """Windows side by side: each is a row of the product.

    XLA computes the gradient of x with a kernel that grows with the window.
    """
    counts, window = setting.out, setting.window
    used = tuple(slice(o * k) for o, k in zip(counts, window, strict=True))
    x = setting.padded(x)[(slice(None), *used)]
    pairs = [n for pair in zip(counts, window, strict=True) for n in pair]
    split = x.reshape(x.shape[0], *pairs, x.shape[-1])
    axes = range(1, 2 * setting.axes + 1)
    rows = split.transpose(0, *axes[::2], *axes[1::2], 2 * setting.axes + 1)
    return rows_times(rows.reshape(x.shape[0], *counts, -1), kernel)


def rows_times(rows, kernel):
    """Return rows [b, *out, n] times the kernel, as a product of two matrices.

    Only two: with more axes to sum over, XLA's product for the gradient of the kernel is slower.
    """
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    matrix = kernel.reshape(rows.shape[-1], kernel.shape[-1])
    large = min(matrix.shape) >= NARROW and max(matrix.shape) >= WIDE
    product = bilinear(lax.dot, of_kernel=columns_times) if large else lax.dot
    return product(flat, matrix).reshape(*rows.shape[:-1], kernel.shape[-1])


@partial(jax.checkpoint, prevent_cse=False)  # else the columns would be kept, beside the rows
def columns_times(rows, kernel):
    """The product of rows that are turned in memory: transposed, it is that of columns and dy.

    XLA's product that sums over the first axis of both takes up to twice as long.
    """
    # A function of its own, or what makes the rows would be computed anew, column by column.
    with set_xla_metadata(inlineable="false"):
        columns = _turned(rows)
    return lax.dot_general(columns, kernel, (((0,), (0,)), ((), ())))


@jax.jit
def _turned(rows):
    return lax.optimization_barrier(rows.T)
