"""Convolution by im2col and one matrix product, where XLA would fall back on plain loops.

Chellapilla et al. 2006, section 3. XLA's fast path on CPU needs a kernel no larger than the input,
of the convolution itself and of the two that are its gradients. These convolve the gradient of the
output with the kernel, and the input with that gradient: so the kernel must not be larger than the
output, nor the output than the input.
"""

from functools import partial

import jax.numpy as jnp

from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering, native
from cnnlab.layers.convolution.cpu.gemm import matmul


def select(spec: ConvSpec) -> Lowering | None:
    """Return a lowering for kernels larger than input or output, or outputs larger than the input.

    For one group, and over one or two axes.
    """
    pairs = zip(spec.windows.spans, spec.size, spec.out, strict=True)
    if any(k > min(i, o) and k > 1 for k, i, o in pairs):
        return partial(im2col, spec)
    extent = [(o - 1) * s + 1 for o, s in zip(spec.out, spec.stride, strict=True)]
    if any(e > i for e, i in zip(extent, spec.size, strict=True)):
        return partial(pad_then_convolve, spec)
    return None


def im2col(spec: ConvSpec, x, kernel):
    """The values of each window in a row, times the kernel as a matrix."""
    return matmul(jnp.concatenate(spec.gather_taps(x), axis=-1), kernel)


def pad_then_convolve(spec: ConvSpec, x, kernel):
    """XLA's own over an input that is padded before, and so is as large as the output."""
    padded = spec.padded(x)
    unpadded_spec = spec._replace(shape=padded.shape, pads=((0, 0),) * spec.axes)
    return native(unpadded_spec, padded, kernel)
