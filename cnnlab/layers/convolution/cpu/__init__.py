"""Lowerings of convolution for CPU, for shapes where XLA's own is many times slower.

A lowering is selected by shape while tracing, and used only where the program is compiled for a
CPU. It equals XLA's convolution to rounding, is computed in at least float32, and is an ordinary
program: derivatives of any order, forward and reverse mode, and `vmap` hold.
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
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering


def select_in_float32(spec: ConvSpec) -> Lowering | None:
    """Return a function of (x, kernel) that beats XLA's convolution on CPU, or None."""
    lowering = select(spec)
    return None if lowering is None else in_float32(lowering)


def select(spec: ConvSpec) -> Lowering | None:
    """Return the first lowering that is meant for these shapes, or None."""
    if spec.empty:
        return None
    return (
        gemm.select(spec)
        or depthwise.select(spec)
        or grouped.select(spec, select)
        or conv3d.select(spec, select)
        or im2col_gemm.select(spec)
        or toeplitz.select(spec)
        or conv2d.select(spec)
    )


def in_float32(lowering: Lowering) -> Lowering:
    """Return a lowering that sums numbers narrower than float32 in float32, and rounds once."""

    def widened(x, kernel):
        wide = x.dtype
        if jnp.issubdtype(wide, jnp.floating):
            wide = jnp.promote_types(wide, jnp.float32)
        return lowering(x.astype(wide), kernel.astype(wide)).astype(x.dtype)

    return widened
