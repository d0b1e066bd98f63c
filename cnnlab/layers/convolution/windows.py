"""Windows over spatial axes: sizes, padding and the errors that explain what cannot be.

Dumoulin & Visin 2016, A guide to convolution arithmetic, relationships 1 to 15. Along each axis
a window of k taps, d apart, moves by s over i values with p_low + p_high added at the ends:

    o = floor((i + p_low + p_high - d (k - 1) - 1) / s) + 1
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Shaped

from cnnlab.errors import UserError

PerAxis = int | Sequence[int]
Pads = tuple[tuple[int, int], ...]
Padding = str | int | Sequence[int | Sequence[int]]

AMOUNTS = ("VALID", "SAME", "CAUSAL")
# Names as in numpy.pad.
FILLS = {"zeros": "constant", "circular": "wrap", "reflect": "reflect"}


class Windows(NamedTuple):
    """How windows lie over an input, with an entry for each spatial axis.

    Attributes:
        taps: values a window looks at.
        stride: steps between windows.
        dilation: distance of taps.
        pads: (low, high) added at the ends.
        out: number of windows.
    """

    taps: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    out: tuple[int, ...]


def windows(
    size: Sequence[int],
    taps: Sequence[int],
    *,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    layer: str,
) -> Windows:
    """Return how windows of `taps` lie over an input of `size`, all arguments checked.

    Raises:
        UserError: as `per_axis`, `pads_of` and `output_size`, for `layer`.
    """
    taps = per_axis(taps, len(size), "window", layer)
    steps = per_axis(stride, len(size), "stride", layer)
    apart = per_axis(dilation, len(size), "dilation", layer)
    pads = pads_of(padding, size, taps, steps, apart, layer)
    return Windows(taps, steps, apart, pads, output_size(size, taps, steps, apart, pads, layer))


def per_axis(value: PerAxis, axes: int, name: str, layer: str) -> tuple[int, ...]:
    """Return one number for each of `axes` axes, each at least 1.

    Raises:
        UserError: for another count of numbers, or a number below 1, naming `layer` and `name`.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(values) != axes:
        raise UserError(f"{layer}: {name}={value} has {len(values)} numbers for {axes} axes")
    if any(not _whole(v) or v < 1 for v in values):
        raise UserError(f"{layer}: {name}={value!r} must be whole and at least 1")
    return tuple(int(v) for v in values)


def _whole(value) -> bool:
    return isinstance(value, int | np.integer)


def pads_of(
    padding: Padding,
    size: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    layer: str,
) -> Pads:
    """Return how much to add (low, high) on each axis.

    Args:
        padding: "VALID" (nothing), "SAME" (output ceil(i / s), the odd one at the end, as XLA and
            TensorFlow have it), "CAUSAL" (d (k - 1) before, nothing after), a number for both ends
            of all axes (PyTorch's), a number for each axis, or a pair (low, high) for each axis.
        size: of the input along each spatial axis.
        window: taps along each axis.
        stride: steps between windows.
        dilation: distance of taps.
        layer: name for errors.

    Raises:
        UserError: for an unknown name, a negative amount, or another count of axes.
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
    if any(len(pair) != 2 or not all(_whole(a) and a >= 0 for a in pair) for pair in pairs):
        raise UserError(
            f"{layer}: padding={padding} must be whole numbers or pairs (low, high), none negative"
        )
    return tuple((int(low), int(high)) for low, high in pairs)


def span(taps: int, dilation: int) -> int:
    """Return how many values a window covers, d (k - 1) + 1."""
    return dilation * (taps - 1) + 1


def output_size(
    size: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Pads,
    layer: str,
    *,
    ceil: bool = False,
) -> tuple[int, ...]:
    """Return the number of windows along each axis.

    With `ceil` a last window may hang over the end, unless it starts in the padding (Caffe's
    rounding, with PyTorch's amendment).

    Raises:
        UserError: for a window larger than the padded input.
    """
    counts = []
    for i, k, s, d, (low, high) in zip(size, window, stride, dilation, pads, strict=True):
        room = i + low + high - span(k, d)
        if room < 0:
            covers = f" (it covers {span(k, d)} with dilation {d})" if d > 1 else ""
            raise UserError(
                f"{layer}: the window of {k}{covers} is larger than the input of {i} with padding "
                f"{(low, high)}: use a larger input, a smaller window or more padding"
            )
        count = (-(-room // s) if ceil else room // s) + 1
        if ceil and (count - 1) * s >= i + low:
            count -= 1
        counts.append(count)
    return tuple(counts)


def pad(
    x: Shaped[Array, "..."], pads: Pads, fill: str = "zeros", layer: str = "pad"
) -> Shaped[Array, "..."]:
    """Return channels-last `x` with its spatial axes, those before the last, extended by `pads`.

    Args:
        x: [*batch, *spatial, c].
        pads: (low, high) for each spatial axis.
        fill: "zeros", "circular" (the other end goes on), or "reflect" (mirrored at the outermost
            value, which is not repeated).
        layer: name for errors.

    Raises:
        UserError: for an unknown fill, or an amount larger than the input has values to give.
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
                f"{i} there are"
            )
    if fill == "zeros":
        lead: list[tuple[int, int, int]] = [(0, 0, 0)] * (x.ndim - 1 - len(pads))
        config = [*lead, *((low, high, 0) for low, high in pads), (0, 0, 0)]
        return lax.pad(x, jnp.zeros((), x.dtype), config)
    mode: Any = FILLS[fill]
    return jnp.pad(x, [*((0, 0),) * (x.ndim - 1 - len(pads)), *pads, (0, 0)], mode=mode)


def flatten(x: Shaped[Array, "..."], axes: int) -> Shaped[Array, "..."]:
    """Return [*batch, *spatial, c] with `axes` spatial axes as [b, *spatial, c]."""
    lead = x.ndim - 1 - axes
    return x.reshape(prod(x.shape[:lead]), *x.shape[lead:])


def unpad(dx: Shaped[Array, "..."], pads: Pads, fill: str = "zeros") -> Shaped[Array, "..."]:
    """Return the adjoint of `pad`: derivatives of the padded values become those of the input.

    What was filled with zeros is cut off. With "circular" and "reflect" each value collects the
    derivatives of all its copies.

    Args:
        dx: [*batch, *spatial, c], as `pad` returns it.
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
