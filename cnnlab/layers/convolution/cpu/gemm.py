"""Convolutions whose windows share no value: one matrix product.

Kernels of 1x1 (Lin et al. 2014), kernels as large as the padded input (c5 of LeCun et al. 1998),
and windows that tile it (the patches of Dosovitskiy et al. 2021).
"""

import math
from functools import partial

import jax
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients

# Least sides of a kernel whose gradient gains by a materialized transpose, which copies the rows.
NARROW, WIDE = 128, 256


def select(spec: ConvSpec) -> Lowering | None:
    """Return the product, where windows share no value."""
    if spec.groups > 1:
        return None
    if math.prod(spec.window) == 1:
        return partial(pointwise, spec)
    if max(spec.dilation) > 1:
        return None
    if max(spec.out) == 1:
        return partial(single_window, spec)
    if spec.window == spec.stride:
        return partial(tiled_windows, spec)
    return None


def pointwise(spec: ConvSpec, x, kernel):
    """One tap: the values that the stride reads, times the matrix."""
    rows = spec.windows.gather_tap(spec.padded(x), (0,) * spec.axes)
    return matmul(rows, kernel)


def single_window(spec: ConvSpec, x, kernel):
    """One window: the dot product of every example with every filter.

    XLA computes its gradient as a convolution over a padded image.
    """
    window = spec.padded(x)[(slice(None), *(slice(k) for k in spec.window))]
    return matmul(window.reshape(x.shape[0], *spec.out, -1), kernel)


def tiled_windows(spec: ConvSpec, x, kernel):
    """Windows side by side: each is a row of the product.

    XLA computes the gradient of x with a kernel that grows with the window.
    """
    counts, window = spec.out, spec.window
    used = tuple(slice(o * k) for o, k in zip(counts, window, strict=True))
    x = spec.padded(x)[(slice(None), *used)]
    pairs = [n for pair in zip(counts, window, strict=True) for n in pair]
    split = x.reshape(x.shape[0], *pairs, x.shape[-1])
    axes = range(1, 2 * spec.axes + 1)
    rows = split.transpose(0, *axes[::2], *axes[1::2], 2 * spec.axes + 1)
    return matmul(rows.reshape(x.shape[0], *counts, -1), kernel)


def matmul(rows, kernel):
    """Return rows [b, *out, n] times the kernel, as a product of two matrices.

    Only two: with more axes to sum over, XLA's product for the gradient of the kernel is slower.
    """
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    matrix = kernel.reshape(rows.shape[-1], kernel.shape[-1])
    large = min(matrix.shape) >= NARROW and max(matrix.shape) >= WIDE
    product = with_gradients(lax.dot, kernel=matmul_transposed) if large else lax.dot
    return product(flat, matrix).reshape(*rows.shape[:-1], kernel.shape[-1])


@partial(jax.checkpoint, prevent_cse=False)  # else the columns would be kept, beside the rows
def matmul_transposed(rows, kernel):
    """The product of a materialized transpose of the rows; its transpose is columns times dy.

    XLA's product that sums over the first axis of both takes up to twice as long.
    """
    # A function of its own, or what makes the rows would be recomputed for every column.
    with set_xla_metadata(inlineable="false"):
        columns = _materialized_transpose(rows)
    return lax.dot_general(columns, kernel, (((0,), (0,)), ((), ())))


@jax.jit
def _materialized_transpose(rows):
    return lax.optimization_barrier(rows.T)
