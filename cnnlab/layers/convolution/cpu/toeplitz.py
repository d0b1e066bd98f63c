"""2-D convolution of few channels to few: a product over neighboring columns together.

XLA's convolutions on CPU are made for many channels. They lose where an image has one or a few and
there are few filters (c1 and c3 of LeCun et al. 1998).
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting
from cnnlab.layers.convolution.cpu.with_gradients import bilinear

# From this many input channels, or filters, on XLA's own form is as fast.
MANY_CHANNELS = 8
MANY_FILTERS = 32
# Neighboring columns computed together: one alone makes the product thin, and more than these
# fill its matrix with zeros.
FOLDS = (4, 2)
# From this many input channels on, windows are quicker to make of columns than of rows.
TALL_CHANNELS = 6
# Columns are cut out one by one while tracing, which takes minutes of very many.
WIDEST = 2048
# Windows, in numbers, that are made in parts of the batch, and of such a part: larger arrays leave
# the cache, and one part can use its windows twice.
LARGE = 2**21
MOST = 2**18


def pick(setting: Setting) -> Form | None:
    """Return the product, for few channels and filters at stride 1."""
    few = setting.c_in < MANY_CHANNELS and setting.c_out < MANY_FILTERS
    once = max(*setting.stride, *setting.dilation, setting.groups) == 1
    folds = [fold for fold in FOLDS if setting.out[-1] % fold == 0]
    if setting.axes != 2 or not (few and once and folds) or setting.out[-1] > WIDEST:
        return None
    fitting = [fold for fold in folds if fold * setting.c_out <= MANY_FILTERS]
    fold = (fitting or folds[-1:])[0]
    height, width = setting.out
    deep = setting.window[0] * (setting.window[1] + fold - 1) * setting.c_in
    batch = setting.shape[0]
    each = height * width // fold * deep
    size = batch if batch * each <= LARGE else _part(batch, each)

    def convolve(product, x, kernel):
        padded = setting.padded(x)
        if size == batch:
            return product(fold, padded, kernel)
        parts = padded.reshape(batch // size, size, *padded.shape[1:])
        # The windows are quick to make again and large to keep.
        form = jax.checkpoint(lambda part: product(fold, part, kernel), prevent_cse=False)
        return lax.map(form, parts).reshape(batch, *setting.out, setting.c_out)

    wide = partial(convolve, folded)
    if setting.c_in < TALL_CHANNELS:
        return wide
    tall = partial(convolve, stacked)
    return bilinear(tall, of_kernel=tall, of_x=wide)


def _part(batch: int, each: int) -> int:
    """Return how many images to take at once: a divisor of the batch."""
    return max(n for n in range(1, batch + 1) if batch % n == 0 and (n == 1 or n * each <= MOST))


def folded(fold: int, x, kernel):
    """Compute `fold` neighboring columns of the output by one product.

    They all lie in a window of kw + fold - 1 columns, whose values of a row stand side by side in
    memory; the matrix holds the kernel `fold` times, each time moved on by one column. A value
    that is infinite or NaN makes up to fold - 1 columns beside those it belongs to NaN.
    """
    batch, height, width, channels = x.shape
    kh, kw, _, filters = kernel.shape
    high, wide, span = height - kh + 1, (width - kw + 1) // fold, kw + fold - 1
    moved = [jnp.pad(kernel, ((0, 0), (s, fold - 1 - s), (0, 0), (0, 0))) for s in range(fold)]
    matrix = jnp.stack(moved, axis=3).reshape(kh * span * channels, fold * filters)

    rows = x.reshape(batch, height, width * channels)
    step, length = fold * channels, span * channels
    starts = range(0, wide * step, step)
    windows = jnp.stack([rows[:, :, j : j + length] for j in starts], axis=2)
    windows = jnp.concatenate([windows[:, i : i + high] for i in range(kh)], axis=-1)
    y = lax.dot(windows.reshape(math.prod(windows.shape[:3]), -1), matrix)
    return y.reshape(batch, high, wide * fold, filters)


def stacked(fold: int, x, kernel):
    """The same with rows stacked first, then columns: longer runs to copy, of several channels.

    Faster for values and the gradient of the kernel; that of x is slower.
    """
    batch, height, width, channels = x.shape
    kh, kw, _, filters = kernel.shape
    high, wide, span = height - kh + 1, (width - kw + 1) // fold, kw + fold - 1
    turned = kernel.transpose(3, 1, 0, 2).reshape(filters, kw, kh * channels)
    moved = [jnp.pad(turned, ((0, 0), (s, fold - 1 - s), (0, 0))) for s in range(fold)]
    matrix = jnp.concatenate(moved).reshape(fold * filters, -1)

    rows = jnp.concatenate([x[:, i : i + high] for i in range(kh)], axis=-1)
    rows = rows.reshape(batch, high, width * kh * channels)
    step, length = fold * kh * channels, span * kh * channels
    starts = range(0, wide * step, step)
    windows = jnp.stack([rows[:, :, j : j + length] for j in starts], axis=2)
    windows = windows.reshape(-1, length)
    y = lax.dot_general(windows, matrix, (((1,), (1,)), ((), ())))
    return y.reshape(batch, high, wide * fold, filters)
