"""2-D convolution whose values and gradients each have the lowering that is fastest on CPU.

As cuDNN selects an algorithm for each of the three (Chetlur et al. 2014). Values and the gradient
of x: Winograd's algorithm, `shift_add_gemm` for 8 to 16 channels, else XLA's own. The gradient of
the kernel XLA computes as a convolution of transposed arrays whose window is the whole image: with
16 to 64 channels in two to five times the time of the convolution itself. Here it is a matrix
product of windows with dy (im2col), for chunks of images or lines that stay in the cache.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from cnnlab.layers.chunking import largest_divisor
from cnnlab.layers.convolution.cpu import shift_add_gemm, winograd
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering, native
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients
from cnnlab.layers.convolution.padding import pad_constant

# Values of all windows of a chunk: larger arrays leave the cache, smaller products are slower.
MOST = 2**19
# With fewer values in all windows there is little to gain, and more to compile.
LEAST = 2**18


def select(spec: ConvSpec) -> Lowering | None:
    """Return a lowering with one for each gradient, for two axes and one group."""
    if spec.axes != 2 or spec.groups > 1:
        return None
    if spec.shape[0] * math.prod(spec.out) * math.prod(spec.kernel[:-1]) < LEAST:
        return None
    kernel_gradient = partial(im2col_in_chunks, spec)
    if winograd.fits(spec):
        transposed = winograd.winograd_transposed(spec)
        return with_gradients(winograd.winograd(spec), kernel=kernel_gradient, input=transposed)
    if shift_add_gemm.fits(spec):
        return with_gradients(partial(shift_add_in_chunks, spec), kernel=kernel_gradient)
    return with_gradients(partial(native, spec), kernel=kernel_gradient)


def shift_add_in_chunks(spec: ConvSpec, x, kernel):
    """`shift_add_gemm` for some images at a time."""
    batch = spec.shape[0]
    each = math.prod(spec.out) * math.prod(spec.kernel[:-1])
    size = largest_divisor(batch, MOST // each)
    chunk = spec._replace(shape=(size, *spec.shape[1:]))
    lowering = jax.checkpoint(
        lambda x: shift_add_gemm.shift_add(chunk, x, kernel), prevent_cse=False
    )
    y = lax.map(lowering, x.reshape(-1, size, *x.shape[1:]))
    return y.reshape(batch, *y.shape[2:])


def im2col_in_chunks(spec: ConvSpec, x, kernel):
    """Windows times the kernel, some at a time; the transpose multiplies them by dy."""
    (height, width), batch = spec.out, spec.shape[0]
    of_line = width * math.prod(spec.kernel[:-1])
    # At least as many as the gradient has, to which every chunk is added.
    most = max(MOST, math.prod(spec.kernel))
    lines = largest_divisor(height, most // of_line)
    images, chunk = _strips(spec, x, lines)
    product = im2col
    if shift_add_gemm.saves_copies(spec):
        product = shift_add_gemm.shift_add_filters_first
    size = largest_divisor(images.shape[0], most // (of_line * lines))
    if size == images.shape[0]:
        y = product(chunk, images, kernel)
    else:
        # Windows are recomputed in the backward pass: quick to make, large to keep.
        lowering = jax.checkpoint(lambda x: product(chunk, x, kernel), prevent_cse=False)
        y = lax.map(lowering, images.reshape(-1, size, *images.shape[1:]))
    return y.reshape(batch, height, width, spec.c_out)


def _strips(spec: ConvSpec, x, lines: int):
    """Return the inputs of `lines` output lines each as images of their own, and their spec."""
    count, step = spec.out[0] // lines, spec.stride[0]
    if count == 1:
        return x, spec
    covered = (lines - 1) * step + spec.windows.spans[0]
    padded = pad_constant(x, (spec.pads[0], (0, 0)))
    starts = range(0, count * lines * step, lines * step)
    strips = jnp.stack([padded[:, start : start + covered] for start in starts], axis=1)
    strips = strips.reshape(-1, *strips.shape[2:])
    return strips, spec._replace(shape=strips.shape, pads=((0, 0), spec.pads[1]))


def im2col(spec: ConvSpec, x, kernel):
    """Windows of x as rows of a matrix, times the kernel (Chellapilla et al. 2006).

    With the filters first, XLA's product for the gradient of the kernel is faster.
    """
    # A column that no window reads, if nothing else is added: XLA merges slices of a loop's array
    # with the loop's own slice, and then copies number by number.
    idle = 0 if sum(map(sum, spec.pads)) else 1
    x = pad_constant(spec.padded(x), ((0, 0), (0, idle)))
    # Columns first: the larger copy then has long runs.
    for axis in (2, 1):
        x = jnp.concatenate(_shifts_along(spec, x, axis), axis=-1)
    matrix = kernel.transpose(3, 0, 1, 2).reshape(spec.c_out, -1)
    y = lax.dot_general(x.reshape(-1, x.shape[-1]), matrix, (((1,), (1,)), ((), ())))
    return y.reshape(*x.shape[:-1], spec.c_out)


def _shifts_along(spec: ConvSpec, x, axis: int) -> list:
    """Return the slice of x that each tap along an axis reads."""
    taps, apart, step = (s[axis - 1] for s in (spec.window, spec.dilation, spec.stride))
    last = (spec.out[axis - 1] - 1) * step + 1
    return [lax.slice_in_dim(x, u * apart, u * apart + last, step, axis) for u in range(taps)]
