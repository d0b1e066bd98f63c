"""Convolutions for which XLA falls back on plain loops, in sums and products that it is good at.

Its fast path on CPU wants a kernel no larger than the input, of the convolution itself and of the
two that are its gradients. These convolve the windows' gradient with the kernel, and the input
with that gradient: so the kernel must not be larger than the output, nor the output than the input.
"""

from functools import partial

import jax.numpy as jnp

from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting, native
from cnnlab.layers.convolution.cpu.gemm import rows_times


def pick(setting: Setting) -> Form | None:
    """Return a form for kernels larger than input or output, or an output larger than the input.

    For one group, and over one or two axes.
    """
    pairs = zip(setting.spans, setting.size, setting.out, strict=True)
    if any(k > min(i, o) and k > 1 for k, i, o in pairs):
        return partial(columns, setting)
    reach = [(o - 1) * s + 1 for o, s in zip(setting.out, setting.stride, strict=True)]
    if any(r > i for r, i in zip(reach, setting.size, strict=True)):
        return partial(padded_first, setting)
    return None


def columns(setting: Setting, x, kernel):
    """The values of each window in a row (im2col), times the kernel as a matrix."""
    padded = setting.padded(x)
    rows = jnp.concatenate([setting.seen(padded, tap) for tap in setting.taps()], axis=-1)
    return rows_times(rows, kernel)


def padded_first(setting: Setting, x, kernel):
    """XLA's own over an input that holds its zeros, and so is as large as the output."""
    padded = setting.padded(x)
    without = setting._replace(shape=padded.shape, pads=((0, 0),) * setting.axes)
    return native(without, padded, kernel)
