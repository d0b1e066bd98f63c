"""Padding of spatial axes: amounts by name or number, fills, and the adjoint of padding.

Arrays are channels last, [*batch, *spatial, c]; amounts are pairs (low, high), one for each spatial
axis. "SAME" is that of XLA and TensorFlow: the output has ceil(i / s) values, and of an odd amount
the larger half is at the end.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Shaped

from cnnlab.errors import UserError

Pads = tuple[tuple[int, int], ...]
Padding = str | int | Sequence[int | Sequence[int]]

AMOUNTS = ("VALID", "SAME", "CAUSAL")
# Names as in numpy.pad.
FILLS = {"zeros": "constant", "circular": "wrap", "reflect": "reflect"}


def whole(value: Any) -> bool:
    """Return whether a value is an integer."""
    return isinstance(value, int | np.integer)


def span(taps: int, dilation: int) -> int:
    """Return how many values a window covers, d (k - 1) + 1."""
    return dilation * (taps - 1) + 1


def pads_of(
    padding: Padding,
    size: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    layer: str,
) -> Pads:
    """Return the padding (low, high) of each axis.

    Args:
        padding: "VALID" (none), "SAME" (output ceil(i / s)), "CAUSAL" (d (k - 1) before, none
            after), a number for both ends of all axes (PyTorch's), a number for each axis, or a
            pair (low, high) for each axis.
        size: of the input along each spatial axis.
        window: taps along each axis.
        stride: steps between windows.
        dilation: distance of taps.
        layer: name for errors.

    Raises:
        UserError: for an unknown name, a negative amount, or another number of axes.
    """
    axes = len(size)
    spans = [span(k, d) for k, d in zip(window, dilation, strict=True)]
    if isinstance(padding, str):
        if padding not in AMOUNTS:
            raise UserError(f"{layer}: padding='{padding}' is none of {', '.join(AMOUNTS)}")
        if padding == "VALID":
            return ((0, 0),) * axes
        if padding == "CAUSAL":
            return tuple((k - 1, 0) for k in spans)
        needed = [
            max((-(-i // s) - 1) * s + k - i, 0)
            for i, k, s in zip(size, spans, stride, strict=True)
        ]
        return tuple((n // 2, n - n // 2) for n in needed)
    amounts: tuple[Any, ...] = (
        tuple(padding) if isinstance(padding, Sequence) else (padding,) * axes
    )
    if len(amounts) != axes:
        raise UserError(f"{layer}: padding={padding} has {len(amounts)} entries for {axes} axes")
    pairs = [tuple(a) if isinstance(a, Sequence) else (a, a) for a in amounts]
    if any(len(pair) != 2 or not all(whole(a) and a >= 0 for a in pair) for pair in pairs):
        raise UserError(
            f"{layer}: padding={padding} must be whole numbers or pairs (low, high), none negative"
        )
    return tuple((int(low), int(high)) for low, high in pairs)


def pad_constant(
    x: Shaped[Array | np.ndarray, "..."], pads: Iterable[Sequence[int]], fill: Any = 0
) -> Shaped[Array, "..."]:
    """Return `x` [*batch, *spatial, c] with `fill` at the ends, cropped where pads are negative."""
    pads = list(pads)
    lead = [(0, 0, 0)] * (x.ndim - 1 - len(pads))
    config = [*lead, *((low, high, 0) for low, high in pads), (0, 0, 0)]
    return lax.pad(x, jnp.asarray(fill, x.dtype), config)


def pad(
    x: Shaped[Array, "..."], pads: Pads, fill: str = "zeros", layer: str = "pad"
) -> Shaped[Array, "..."]:
    """Return `x` [*batch, *spatial, c] with its spatial axes extended by `pads`.

    Args:
        x: [*batch, *spatial, c].
        pads: (low, high) for each spatial axis.
        fill: "zeros", "circular" (periodic), or "reflect" (mirrored at the outermost value, which
            is not repeated).
        layer: name for errors.

    Raises:
        UserError: for an unknown fill, or an amount larger than the input can provide.
    """
    if fill not in FILLS:
        raise UserError(f"{layer}: padding_mode='{fill}' is none of {', '.join(FILLS)}")
    if not any(low or high for low, high in pads):
        return x
    size = x.shape[-1 - len(pads) : -1]
    most = {"circular": 0, "reflect": 1}
    for i, pair in zip(size, pads, strict=True):
        if fill in most and max(pair) > i - most[fill]:
            raise UserError(
                f"{layer}: padding {pair} with padding_mode='{fill}' needs more values than the "
                f"{i} of the input"
            )
    if fill == "zeros":
        return pad_constant(x, pads)
    mode: Any = FILLS[fill]
    return jnp.pad(x, [*((0, 0),) * (x.ndim - 1 - len(pads)), *pads, (0, 0)], mode=mode)


def unpad(dx: Shaped[Array, "..."], pads: Pads, fill: str = "zeros") -> Shaped[Array, "..."]:
    """Return the adjoint of `pad`: the gradient of the input, given that of the padded array.

    With "zeros" the padding is cropped. With "circular" and "reflect" each value collects the
    gradients of all its copies.

    Args:
        dx: [*batch, *spatial, c], shaped as `pad` returns it.
        pads: (low, high) for each spatial axis, as given to `pad`.
        fill: likewise.
    """
    for axis, (low, high) in enumerate(pads, start=dx.ndim - 1 - len(pads)):
        size = dx.shape[axis] - low - high
        if fill == "zeros":
            dx = lax.slice_in_dim(dx, low, low + size, axis=axis)
        elif low or high:
            mode: Any = FILLS[fill]
            source = np.pad(np.arange(size), (low, high), mode)
            shape = (*dx.shape[:axis], size, *dx.shape[axis + 1 :])
            at = (slice(None),) * axis
            dx = jnp.zeros(shape, dx.dtype).at[(*at, source)].add(dx)
    return dx
