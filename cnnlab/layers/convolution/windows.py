"""Windows over spatial axes: how many there are, and gather and scatter of their taps.

Dumoulin & Visin 2016, A guide to convolution arithmetic, relationships 1 to 15. Along each axis
a window of k taps, d apart, moves by s over i values with p_low + p_high added at the ends:

    o = floor((i + p_low + p_high - d (k - 1) - 1) / s) + 1

Tap u of window n reads the padded value x[s n + d u]; for all windows together that is one strided
slice (`gather_tap`), whose adjoint adds values to where they were read (`scatter_taps`).
Convolution, its adjoint, pooling, and their lowerings for CPU are written with these.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Shaped

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding, Pads, pad_constant, pads_of, span, whole

PerAxis = int | Sequence[int]
Tap = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Windows over the spatial axes of [*batch, *spatial, c]; tuples have an entry for each axis.

    Attributes:
        size: of the input.
        taps: of a window.
        stride: steps between windows.
        dilation: distance of taps.
        pads: (low, high) added at the ends.
        ceil: whether a last window may hang over the end, unless it starts in the padding
            (Caffe's rounding, with PyTorch's amendment).
    """

    size: tuple[int, ...]
    taps: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    ceil: bool = False

    @property
    def spans(self) -> tuple[int, ...]:
        """Values that a window covers."""
        return tuple(span(k, d) for k, d in zip(self.taps, self.dilation, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """Number of windows."""
        counts = []
        for i, k, s, (low, high) in zip(self.size, self.spans, self.stride, self.pads, strict=True):
            room = i + low + high - k
            count = (-(-room // s) if self.ceil else room // s) + 1
            counts.append(count - int(self.ceil and (count - 1) * s >= i + low))
        return tuple(counts)

    @property
    def exact_pads(self) -> Pads:
        """Padding (low, high) with which the last window ends at the end of the array.

        The high end differs from `pads`: it is less, or negative, where the stride leaves values
        that no window reads, and more where the last window hangs over.
        """
        return tuple(
            (low, (o - 1) * s + k - i - low)
            for i, k, s, (low, _), o in zip(
                self.size, self.spans, self.stride, self.pads, self.out, strict=True
            )
        )

    def tap_indices(self) -> Iterator[Tap]:
        """Return the indices of the taps in row-major order."""
        return itertools.product(*(range(k) for k in self.taps))

    def tap_slices(self, tap: Sequence[int]) -> tuple[slice, ...]:
        """Return the places of the padded input that one tap of all windows reads."""
        sides = zip(tap, self.dilation, self.stride, self.out, strict=True)
        return tuple(slice(u * d, u * d + s * (o - 1) + 1, s) for u, d, s, o in sides)

    def gather_tap(self, padded: Shaped[Array, "..."], tap: Sequence[int]) -> Shaped[Array, "..."]:
        """Return what one tap of all windows reads of [*batch, *padded, c]: [*batch, *out, c]."""
        batch, at = padded.shape[: -1 - len(tap)], self.tap_slices(tap)
        start = (*(0 for _ in batch), *(s.start for s in at), 0)
        stop = (*batch, *(s.stop for s in at), padded.shape[-1])
        return lax.slice(padded, start, stop, (*(1 for _ in batch), *self.stride, 1))

    def scatter_taps(
        self, parts: Mapping[Tap, Shaped[Array, "..."]], size: Sequence[int]
    ) -> Shaped[Array, "..."]:
        """Return the adjoint of `gather_tap`: the sum of the parts, each where its tap reads.

        Args:
            parts: for some or all taps [*batch, *out, c]; added up in their order.
            size: of the padded input along the spatial axes; what no tap reads is zero.
        """
        total = None
        for tap, part in parts.items():
            config = [(0, 0, 0)] * (part.ndim - 1 - len(tap))
            for u, i, s, d, o in zip(tap, size, self.stride, self.dilation, self.out, strict=True):
                config.append((d * u, i - d * u - s * (o - 1) - 1, s - 1))
            placed = lax.pad(part, jnp.zeros((), part.dtype), [*config, (0, 0, 0)])
            total = placed if total is None else total + placed
        assert total is not None  # a window has at least one tap
        return total

    def fit(self, x: Shaped[Array | np.ndarray, "..."], fill: Any) -> Shaped[Array, "..."]:
        """Return `x` [*batch, *size, c] padded with `fill`, or cropped, by `exact_pads`."""
        if not any(low or high for low, high in self.exact_pads):
            return jnp.asarray(x)
        return pad_constant(x, self.exact_pads, fill)

    def unfit(self, x: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
        """Return the adjoint of `fit`: the padding cropped, zeros where `fit` has cropped."""
        if not any(low or high for low, high in self.exact_pads):
            return x
        return pad_constant(x, [(-low, -high) for low, high in self.exact_pads])

    def sources(self, tap: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return which input value each window reads at `tap`, and whether it is in the input.

        Both [*out, 1]; values are counted in row-major order over the spatial axes.
        """
        at, inside = np.zeros((), np.int32), np.ones((), bool)
        sides = zip(tap, self.dilation, self.stride, self.pads, self.out, strict=True)
        along = np.ix_(*(np.arange(o) * s + u * d - low for u, d, s, (low, _), o in sides))
        for line, i in zip(along, self.size, strict=True):
            at = at * i + line.astype(np.int32)
            inside = inside & (line >= 0) & (line < i)
        return at[..., None], inside[..., None]


def windows(
    size: Sequence[int],
    taps: PerAxis,
    *,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    layer: str,
    ceil: bool = False,
) -> Windows:
    """Return the windows of `taps` over an input of `size`, with all arguments checked.

    Raises:
        UserError: as `per_axis` and `pads_of`, and for a window larger than the padded input; it
            begins with `layer`.
    """
    axes = len(size)
    taps = per_axis(taps, axes, "window", layer)
    steps = per_axis(stride, axes, "stride", layer)
    distances = per_axis(dilation, axes, "dilation", layer)
    pads = pads_of(padding, size, taps, steps, distances, layer)
    over = Windows(tuple(size), taps, steps, distances, pads, ceil)
    for i, k, covered, d, pair in zip(size, taps, over.spans, distances, pads, strict=True):
        if covered > i + sum(pair):
            covers = f" (it covers {covered} with dilation {d})" if d > 1 else ""
            raise UserError(
                f"{layer}: the window of {k}{covers} is larger than the input of {i} with padding "
                f"{pair}: use a larger input, a smaller window or more padding"
            )
    return over


def per_axis(value: PerAxis, axes: int, name: str, layer: str) -> tuple[int, ...]:
    """Return one number for each of `axes` axes, each at least 1.

    Raises:
        UserError: for another count of numbers, or a number below 1; it has `layer` and `name`.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(values) != axes:
        raise UserError(f"{layer}: {name}={value} has {len(values)} numbers for {axes} axes")
    if any(not whole(v) or v < 1 for v in values):
        raise UserError(f"{layer}: {name}={value!r} must be whole and at least 1")
    return tuple(int(v) for v in values)


def window_of(kernel_size: PerAxis, layer: str) -> tuple[int, ...]:
    """Return the taps along each axis; their count is the number of axes of a layer.

    Raises:
        UserError: for a single number, which leaves the number of axes open.
    """
    if not isinstance(kernel_size, Sequence):
        raise UserError(
            f"{layer}: kernel_size={kernel_size} needs a number for each axis, such as "
            f"{(kernel_size, kernel_size)} for images"
        )
    return tuple(kernel_size)


def flatten(x: Shaped[Array, "..."], axes: int) -> Shaped[Array, "..."]:
    """Return [*batch, *spatial, c] with `axes` spatial axes as [b, *spatial, c]."""
    lead = x.ndim - 1 - axes
    return x.reshape(prod(x.shape[:lead]), *x.shape[lead:])
