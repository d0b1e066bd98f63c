"""2-D convolution of few channels to few: a product over neighboring columns together.

XLA's convolutions on CPU are made for many channels. They lose where an image has one or a few and
there are few filters (c1 and c3 of LeCun et al. 1998).
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from cnnlab.layers.forms.setting import Form, Setting

# From this many input channels, or filters, on XLA's own form is as fast.
MANY_CHANNELS = 8
MANY_FILTERS = 32
# Neighboring columns computed together: one alone makes the product thin, and more than these
# fill its matrix with zeros.
FOLDS = (4, 2)
# Windows of a part of the batch, in numbers: larger arrays leave the cache.
MOST = 2**21


def pick(setting: Setting) -> Form | None:
    """Return the product, for few channels and filters at stride 1."""
    few = setting.c_in < MANY_CHANNELS and setting.c_out < MANY_FILTERS
    once = max(*setting.stride, *setting.dilation, setting.groups) == 1
    folds = [fold for fold in FOLDS if setting.out[-1] % fold == 0]
    if setting.axes != 2 or not (few and once and folds):
        return None
    fitting = [fold for fold in folds if fold * setting.c_out <= MANY_FILTERS]
    fold = (fitting or folds[-1:])[0]
    height, width = setting.out
    deep = setting.window[0] * (setting.window[1] + fold - 1) * setting.c_in
    batch = setting.shape[0]
    size = _part(batch, height * width // fold * deep)

    def convolve(x, kernel):
        padded = setting.padded(x)
        if size == batch:
            return folded(fold, padded, kernel)
        parts = padded.reshape(batch // size, size, *padded.shape[1:])
        # The windows are quick to make again and large to keep.
        form = jax.checkpoint(lambda part: folded(fold, part, kernel), prevent_cse=False)
        return lax.map(form, parts).reshape(batch, *setting.out, setting.c_out)

    return convolve


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
