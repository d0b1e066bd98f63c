"""2-D convolution of few channels: a product with a Toeplitz matrix over neighboring columns.

Convolution as a product with a Toeplitz matrix: Goodfellow, Bengio & Courville 2016, section 9.1.
XLA's convolutions on CPU are made for many channels. They lose where an image has one or a few and
there are few filters (c1 and c3 of LeCun et al. 1998).
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from cnnlab.layers.chunking import largest_divisor
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients

# From this many input channels, or filters, on XLA's own is as fast.
MANY_CHANNELS = 8
MANY_FILTERS = 32
# Neighboring columns computed together: one alone makes the product thin, and more than these
# fill its matrix with zeros.
FOLDS = (4, 2)
# From this many input channels on, windows are quicker to make of columns than of rows.
TALL_CHANNELS = 6
# Columns are slices, one by one, in the program, which takes minutes to trace for very many.
WIDEST = 2048
# Values of windows that are made in chunks of the batch, and of one chunk: larger arrays leave the
# cache, and a chunk can use its windows twice.
LARGE = 2**21
MOST = 2**18


def select(spec: ConvSpec) -> Lowering | None:
    """Return the product, for few channels and filters at stride 1."""
    few = spec.c_in < MANY_CHANNELS and spec.c_out < MANY_FILTERS
    once = max(*spec.stride, *spec.dilation, spec.groups) == 1
    folds = [fold for fold in FOLDS if spec.out[-1] % fold == 0]
    if spec.axes != 2 or not (few and once and folds) or spec.out[-1] > WIDEST:
        return None
    fitting = [fold for fold in folds if fold * spec.c_out <= MANY_FILTERS]
    fold = (fitting or folds[-1:])[0]
    height, width = spec.out
    deep = spec.window[0] * (spec.window[1] + fold - 1) * spec.c_in
    batch = spec.shape[0]
    each = height * width // fold * deep
    size = batch if batch * each <= LARGE else largest_divisor(batch, MOST // each)

    def convolve(product, x, kernel):
        padded = spec.padded(x)
        if size == batch:
            return product(fold, padded, kernel)
        chunks = padded.reshape(batch // size, size, *padded.shape[1:])
        # Windows are recomputed in the backward pass: quick to make, large to keep.
        lowering = jax.checkpoint(lambda chunk: product(fold, chunk, kernel), prevent_cse=False)
        return lax.map(lowering, chunks).reshape(batch, *spec.out, spec.c_out)

    wide = partial(convolve, by_rows)
    if spec.c_in < TALL_CHANNELS:
        return wide
    tall = partial(convolve, by_columns)
    return with_gradients(tall, kernel=tall, input=wide)


def by_rows(fold: int, x, kernel):
    """Compute `fold` neighboring columns of the output by one product.

    They all lie in a window of kw + fold - 1 columns, whose values of a row stand side by side in
    memory; the matrix holds the kernel `fold` times, each time shifted by one column. A value
    that is infinite or NaN makes up to fold - 1 columns beside those it belongs to NaN.
    """
    batch, height, width, channels = x.shape
    kh, kw, _, filters = kernel.shape
    high, wide, span = height - kh + 1, (width - kw + 1) // fold, kw + fold - 1
    shifted = [jnp.pad(kernel, ((0, 0), (s, fold - 1 - s), (0, 0), (0, 0))) for s in range(fold)]
    matrix = jnp.stack(shifted, axis=3).reshape(kh * span * channels, fold * filters)

    rows = x.reshape(batch, height, width * channels)
    step, length = fold * channels, span * channels
    starts = range(0, wide * step, step)
    windows = jnp.stack([rows[:, :, j : j + length] for j in starts], axis=2)
    windows = jnp.concatenate([windows[:, i : i + high] for i in range(kh)], axis=-1)
    y = lax.dot(windows.reshape(math.prod(windows.shape[:3]), -1), matrix)
    return y.reshape(batch, high, wide * fold, filters)


def by_columns(fold: int, x, kernel):
    """The same with rows concatenated first, then columns: longer runs to copy.

    Faster for values and the gradient of the kernel with several channels; that of x is slower.
    """
    batch, height, width, channels = x.shape
    kh, kw, _, filters = kernel.shape
    high, wide, span = height - kh + 1, (width - kw + 1) // fold, kw + fold - 1
    filters_first = kernel.transpose(3, 1, 0, 2).reshape(filters, kw, kh * channels)
    shifted = [jnp.pad(filters_first, ((0, 0), (s, fold - 1 - s), (0, 0))) for s in range(fold)]
    matrix = jnp.concatenate(shifted).reshape(fold * filters, -1)

    rows = jnp.concatenate([x[:, i : i + high] for i in range(kh)], axis=-1)
    rows = rows.reshape(batch, high, width * kh * channels)
    step, length = fold * kh * channels, span * kh * channels
    starts = range(0, wide * step, step)
    windows = jnp.stack([rows[:, :, j : j + length] for j in starts], axis=2)
    windows = windows.reshape(-1, length)
    y = lax.dot_general(windows, matrix, (((1,), (1,)), ((), ())))
    return y.reshape(batch, high, wide * fold, filters)
