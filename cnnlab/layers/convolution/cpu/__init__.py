"""Convolutions in other forms than XLA's own, for CPU, where those are many times slower.

Chosen by shape while tracing; used only when the program is lowered for a CPU. Equal to XLA's own
to rounding, and computed in at least float32. Each form is an ordinary program, so derivatives of
any order, forward and reverse, and `vmap` hold as for XLA's.
"""

import jax.numpy as jnp

from cnnlab.layers.convolution.cpu import (
    conv2d,
    conv3d,
    depthwise,
    gemm,
    grouped,
    im2col_gemm,
    toeplitz,
)
from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting


def pick(setting: Setting) -> Form | None:
    """Return a function of (x, kernel) that beats XLA's convolution on CPU, or None."""
    form = choose(setting)
    return None if form is None else in_float32(form)


def choose(setting: Setting) -> Form | None:
    """Return the first form that is meant for these shapes."""
    if setting.empty:
        return None
    return (
        gemm.pick(setting)
        or depthwise.pick(setting)
        or grouped.pick(setting, choose)
        or conv3d.pick(setting, choose)
        or im2col_gemm.pick(setting)
        or toeplitz.pick(setting)
        or conv2d.pick(setting)
    )


def in_float32(form: Form) -> Form:
    """Return a form that sums numbers narrower than float32 in float32, and rounds once."""

    def widened(x, kernel):
        wide = x.dtype
        if jnp.issubdtype(wide, jnp.floating):
            wide = jnp.promote_types(wide, jnp.float32)
        return form(x.astype(wide), kernel.astype(wide)).astype(x.dtype)

    return widened
