"""Where the windows of a pooling layer lie, and what one place of all of them sees."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Shaped

from cnnlab.errors import UserError
from cnnlab.layers.convolution.windows import (
    Padding,
    Pads,
    PerAxis,
    output_size,
    pads_of,
    per_axis,
    span,
)


@dataclass(frozen=True)
class Windows:
    """Windows over the spatial axes of channels-last arrays; a tuple has a number for each axis.

    Attributes:
        size: of the input.
        taps: of a window.
        stride: steps between windows.
        pads: (low, high) around the input.
        dilation: distance of taps.
        count: of windows.
    """

    size: tuple[int, ...]
    taps: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    count: tuple[int, ...]

    @property
    def span(self) -> tuple[int, ...]:
        """How many values a window covers."""
        return tuple(span(k, d) for k, d in zip(self.taps, self.dilation, strict=True))

    @property
    def reach(self) -> Pads:
        """(low, high) to add for windows to fit exactly.

        The high end differs from `pads`: less where no window gets there (below 0: rows that none
        sees), more where the last window hangs over.
        """
        return tuple(
            (low, (o - 1) * s + k - i - low)
            for i, k, s, (low, _), o in zip(
                self.size, self.span, self.stride, self.pads, self.count, strict=True
            )
        )

    def fit(self, x: Shaped[Array | np.ndarray, "..."], fill) -> Shaped[Array, "..."]:
        """Return `x` [b, *size, c] with `fill` around it, as far as the windows reach."""
        return extend(x, self.reach, fill)

    def inner(self, x: Shaped[Array | np.ndarray, "..."]) -> Shaped[Array, "..."]:
        """Return what of a fitted array lies on the input; zeros where no window reached."""
        return extend(x, [(-low, -high) for low, high in self.reach], 0)

    def places(self) -> list[tuple[slice, ...]]:
        """Return, for each tap in row-major order, the slices of a fitted array that it sees."""
        sides = list(zip(self.dilation, self.count, self.stride, strict=True))
        return [
            (
                slice(None),
                *(
                    slice(u * d, u * d + (o - 1) * s + 1, s)
                    for u, (d, o, s) in zip(tap, sides, strict=True)
                ),
            )
            for tap in np.ndindex(*self.taps)
        ]

    def sources(self, tap: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return which value of the input each window sees at `tap`, and whether there is one.

        Both [*count, 1]; values are counted in row-major order over the spatial axes.
        """
        at, inside = np.zeros((), np.int32), np.ones((), bool)
        sides = zip(tap, self.dilation, self.stride, self.pads, self.count, strict=True)
        along = np.ix_(*(np.arange(o) * s + u * d - low for u, d, s, (low, _), o in sides))
        for line, i in zip(along, self.size, strict=True):
            at = at * i + line.astype(np.int32)
            inside = inside & (line >= 0) & (line < i)
        return at[..., None], inside[..., None]


def windows_of(
    x: Shaped[Array | np.ndarray, "..."],
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "VALID",
    *,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    layer: str,
) -> Windows:
    """Return the windows over `x` [*batch, *spatial, c].

    Args:
        x: input; of its spatial axes, those before the last, there are as many as numbers in
            `window`, and two if it is a single number.
        window: taps along each axis.
        stride: steps between windows; None takes the window.
        padding: see `geometry.pads_of`.
        dilation: distance of taps.
        ceil_mode: whether a last window may hang over the end (Caffe); not one that starts in
            the padding (PyTorch).
        layer: name for errors.

    Raises:
        UserError: for numbers that cannot be, a rank that does not fit, a window larger than the
            padded input, or padding that fills a window.
    """
    axes = 2 if isinstance(window, int) else len(window)
    if not 1 <= axes <= 3:
        raise UserError(f"{layer}: window={window} needs numbers for 1 to 3 axes")
    if x.ndim < axes + 1:
        raise UserError(
            f"{layer}: x {x.shape} needs {axes} spatial axes and channels for window={window} "
            "(a single number is for two axes; a sequence has one for each)"
        )
    size = tuple(x.shape[-1 - axes : -1])
    taps = per_axis(window, axes, "window", layer)
    steps = taps if stride is None else per_axis(stride, axes, "stride", layer)
    apart = per_axis(dilation, axes, "dilation", layer)
    pads = pads_of(padding, size, taps, steps, apart, layer)
    count = output_size(size, taps, steps, apart, pads, layer, ceil=ceil_mode)
    windows = Windows(size, taps, steps, pads, apart, count)
    for i, k, s, d, (low, high), o in zip(size, taps, steps, apart, pads, count, strict=True):
        seen = np.arange(o)[:, None] * s + np.arange(k) * d - low
        if not ((seen >= 0) & (seen < i)).any(1).all():
            raise UserError(
                f"{layer}: padding {(low, high)} around {i} values leaves a window of {k} nothing "
                "but padding: use less of it or a larger window"
            )
    return windows


def flat(x: Shaped[Array, "..."], axes: int) -> Shaped[Array, "..."]:
    """Return `x` [*batch, *spatial, c] with a single batch axis."""
    return x.reshape(math.prod(x.shape[: -1 - axes]), *x.shape[-1 - axes :])


def extend(x: Shaped[Array | np.ndarray, "..."], pairs: Iterable[tuple[int, int]], fill) -> Array:
    """Return x [b, *spatial, c] with `fill` added at the ends, or cut off where negative."""
    pairs = list(pairs)
    if not any(low or high for low, high in pairs):
        return jnp.asarray(x)
    config = [(0, 0, 0), *((low, high, 0) for low, high in pairs), (0, 0, 0)]
    return lax.pad(x, jnp.asarray(fill, x.dtype), config)
