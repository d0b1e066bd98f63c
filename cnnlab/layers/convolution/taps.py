"""Convolution-like sums tap by tap: what a tap of every window sees, and the way back.

With x padded, tap u of the windows sees the values x[s i + d u], a strided slice of x with one
value for each window i. Sums over the windows of a product with that slice are derivatives of
weights; derivatives of the slices, put back where they came from, add up to those of x.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.windows import PerAxis, Windows

Tap = tuple[int, ...]


def window_of(kernel_size: PerAxis, layer: str) -> tuple[int, ...]:
    """Return the taps along each axis, whose count says over how many axes a layer goes.

    Raises:
        UserError: for one number, which does not say it.
    """
    if not isinstance(kernel_size, Sequence):
        raise UserError(
            f"{layer}: kernel_size={kernel_size} needs a number for each axis, such as "
            f"{(kernel_size, kernel_size)} for images"
        )
    return tuple(kernel_size)


def each(over: Windows) -> Iterator[Tap]:
    """Return the indices of the taps in row-major order."""
    return itertools.product(*(range(k) for k in over.taps))


def look(x: Float[Array, "..."], tap: Tap, over: Windows) -> Float[Array, "..."]:
    """Return what tap `tap` of every window sees of padded x [..., *spatial, c]: [..., *out, c]."""
    first = x.ndim - 1 - len(tap)
    for axis, (u, s, d, o) in enumerate(
        zip(tap, over.stride, over.dilation, over.out, strict=True), start=first
    ):
        x = lax.slice_in_dim(x, d * u, d * u + s * (o - 1) + 1, s, axis)
    return x


def put_back(
    parts: Mapping[Tap, Float[Array, "..."]], size: tuple[int, ...], over: Windows
) -> Float[Array, "..."]:
    """Return the adjoint of `look` for all taps: each part [..., *out, c] laid where it was seen.

    Values that several windows see add up; what none sees is zero.

    Args:
        parts: for each tap, as `look` returns it.
        size: of the padded input along the spatial axes.
        over: how the windows lie.
    """
    total = None
    for tap, part in parts.items():
        config = [(0, 0, 0)] * (part.ndim - 1 - len(tap))
        for u, i, s, d, o in zip(tap, size, over.stride, over.dilation, over.out, strict=True):
            config.append((d * u, i - d * u - s * (o - 1) - 1, s - 1))
        laid = lax.pad(part, jnp.zeros((), part.dtype), [*config, (0, 0, 0)])
        total = laid if total is None else total + laid
    assert total is not None  # a window has at least one tap
    return total
