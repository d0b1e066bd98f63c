"""Dependency intervals: the input positions, along one axis, that each element of a value uses.

Interval arithmetic, as for bounds on values, applied to positions: windows, reductions, reshapes
and unions of intervals. Padding has positions too, before the first and after the last, so that a
receptive field at the border has the size that theory gives it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from cnnlab.analysis.jaxpr import Value
from cnnlab.errors import UserError

# Limit of intervals: with their two ends 2 GB, and less than a minute.
LARGEST = 1 << 27
# Arrays; numpy makes scalars of those without axes.
Ends = Any


@dataclass(frozen=True)
class Interval:
    """Intervals of positions on one axis of the input, one for each element of a value.

    Attributes:
        low: first position each element depends on; an array that broadcasts to the value's shape,
            with length 1 where the elements do not differ. -inf: all positions, +inf: none.
        high: last position, likewise, with the signs exchanged.
        dim: axis of the value along which the position moves; None for no axis.
        step: positions from one element to the next: the stride, or jump.
    """

    low: Ends
    high: Ends
    dim: int | None
    step: float


Intervals = Sequence[Interval | None]


@dataclass(frozen=True)
class TraceContext:
    """The program around an equation, as far as rules need it.

    Attributes:
        size: length of the input axis.
        known: returns the constant that a value is, or None.
        computed: the same without constants from outside of the program, since those are weights,
            and a weight that happens to be zero is still a connection.
    """

    size: int
    known: Callable[[Value], np.ndarray | None]
    computed: Callable[[Value], np.ndarray | None]


def shape_of(value: Value) -> tuple[int, ...]:
    """Return the shape of a value of a program."""
    return value.aval.shape


def input_interval(size: int, ndim: int, dim: int) -> Interval:
    """Return the interval of the input itself: every element depends on its own position."""
    shape = [1] * ndim
    shape[dim] = size
    place = np.arange(size, dtype=float).reshape(shape)
    return Interval(place, place, dim, 1.0)


def check_size(positions: int) -> None:
    """Raise a `UserError` for more intervals than can be followed."""
    if positions > LARGEST:
        raise UserError(
            f"receptive fields of inputs of this size take {positions:,} intervals, and at most "
            f"{LARGEST:,} are followed: choose a smaller size"
        )


def everything(ndim: int, step: float = 1.0) -> Interval:
    """Return the interval of a value whose elements may all depend on all positions."""
    one = np.ones((1,) * ndim)
    return Interval(-np.inf * one, np.inf * one, None, step)


def union(intervals: Sequence[Interval | None]) -> Interval | None:
    """Return the interval of an elementwise function of values of broadcastable shapes."""
    present = [interval for interval in intervals if interval is not None]
    if not present:
        return None
    moving = next((r for r in present if r.dim is not None), present[0])
    low = reduce(np.minimum, (r.low for r in present))
    high = reduce(np.maximum, (r.high for r in present))
    return replace(moving, low=low, high=high)


def with_axes(interval: Interval, low: Ends, high: Ends, dims: Sequence[int | None]) -> Interval:
    """Return the interval after a change of axes; `dims` says which old axis each new one was."""
    dim = next((n for n, d in enumerate(dims) if d is not None and d == interval.dim), None)
    return Interval(low, high, dim, interval.step)


def reduce_axes(interval: Interval, axes: Sequence[int], size: int) -> Interval:
    """Return the interval of a reduction along some axes, which are kept with length 1.

    Where the position moves along one of them and the reduction covers the whole input, it counts
    as everything: it covers an input of any size.
    """
    if interval.dim not in axes:
        low = interval.low.min(axis=tuple(axes), keepdims=True)
        return replace(interval, low=low, high=interval.high.max(axis=tuple(axes), keepdims=True))
    if all(interval.low.shape[a] == interval.high.shape[a] == 1 for a in axes):
        return replace(interval, dim=None)
    low = interval.low.min(axis=tuple(axes), keepdims=True)
    high = interval.high.max(axis=tuple(axes), keepdims=True)
    whole = (low <= 0) & (high >= size - 1)
    return Interval(
        np.where(whole, -np.inf, low), np.where(whole, np.inf, high), None, interval.step
    )


def slide_window(
    interval: Interval,
    axis: int,
    size: int,
    *,
    taps: int = 1,
    stride: int = 1,
    dilation: int = 1,
    base_dilation: int = 1,
    pad: tuple[int, int] = (0, 0),
) -> Interval:
    """Return the interval of windows that slide along an axis of length `size`.

    Args:
        interval: of the value that they read.
        axis: along which they slide.
        size: of the value along it.
        taps: values in a window.
        stride: steps between windows.
        dilation: distance of taps.
        base_dilation: distance of the value's elements; zeros between them depend on nothing.
        pad: elements added at the ends; negative: cropped.
    """
    step = interval.step * stride / base_dilation if axis == interval.dim else interval.step
    if axis != interval.dim and interval.low.shape[axis] == interval.high.shape[axis] == 1:
        return interval
    length = (size - 1) * base_dilation + 1 if size else 0
    count = max((length + sum(pad) - (taps - 1) * dilation - 1) // stride + 1, 0)
    places = np.arange(count)[:, None] * stride - pad[0] + np.arange(taps) * dilation
    true = places % base_dilation == 0
    index = places // base_dilation

    def read(ends, nothing, fold):
        ends = np.moveaxis(_full(ends, axis, size), axis, 0)
        inside = np.clip(index, 0, max(size - 1, 0))
        # Positions are extrapolated into the padding.
        beyond = (index - inside) * (interval.step if axis == interval.dim else 0.0)
        extra = ends.ndim - 1
        values = ends[inside] + beyond.reshape(*beyond.shape, *(1,) * extra)
        values = np.where(true.reshape(*true.shape, *(1,) * extra), values, nothing)
        return np.moveaxis(fold(values, axis=1), 0, axis)

    low = read(interval.low, np.inf, np.min)
    high = read(interval.high, -np.inf, np.max)
    return Interval(low, high, interval.dim, step)


def concatenate(
    intervals: Sequence[Interval | None], axis: int, sizes: Sequence[int]
) -> Interval | None:
    """Return the interval of a concatenation along an axis."""
    present = [(r, n) for r, n in zip(intervals, sizes, strict=True) if r is not None]
    if not present:
        return None
    largest = max(present, key=lambda pair: pair[1])[0]
    ndim = largest.low.ndim

    def side_by_side(ends, nothing):
        parts = []
        for interval, n in zip(intervals, sizes, strict=True):
            part = np.full((1,) * ndim, nothing) if interval is None else ends(interval)
            parts.append(_full(part, axis, n))
        around = np.broadcast_shapes(*(np.delete(p.shape, axis) for p in parts))
        full = [np.insert(around, axis, n) for n in sizes]
        return np.concatenate(
            [np.broadcast_to(p, s) for p, s in zip(parts, full, strict=True)], axis
        )

    low = side_by_side(lambda r: r.low, np.inf)
    high = side_by_side(lambda r: r.high, -np.inf)
    return reduce_constant_axes(replace(largest, low=low, high=high))


def reshape(interval: Interval, old: Sequence[int], new: Sequence[int]) -> Interval:
    """Return the interval after a reshape from shape `old` to `new`."""
    low, high, dim, step = interval.low, interval.high, None, interval.step
    here: list[int] = []
    there: list[int] = []
    moving: list[int] = []
    alone = interval.dim is not None and old[interval.dim] == 1
    for before, after in _groups(old, new):
        sizes = [old[d] for d in before]
        if any(low.shape[d] > 1 or high.shape[d] > 1 for d in before):
            here += sizes
            there += [new[d] for d in after]
        else:
            here += [1] * len(before)
            there += [1] * len(after)
        if interval.dim is not None and interval.dim in before:
            moving = [d for d in after if (new[d] == 1) == alone]
            if not alone and len(moving) == 1:
                step /= int(np.prod(sizes[before.index(interval.dim) + 1 :]))
    check_size(math.prod(here))
    low, high = (np.broadcast_to(ends, here).reshape(there) for ends in (low, high))
    if len(moving) > 1 and not alone:
        # If an axis was split, the position moves most along the outer part.
        steps = [_step(low, d) for d in moving]
        step = max(steps, key=abs)
        moving = [moving[steps.index(step)]]
    dim = moving[0] if moving else None
    return reduce_constant_axes(Interval(low, high, dim, step))


def _step(ends: np.ndarray, axis: int) -> float:
    """Return the difference of the ends of neighboring elements, in the middle."""
    size = ends.shape[axis]
    if size < 2:
        return 0.0
    ends = np.moveaxis(ends, axis, 0)
    middle = min(size // 2, size - 2)
    pair = [float(ends[n].ravel()[ends[n].size // 2]) for n in (middle, middle + 1)]
    return pair[1] - pair[0] if np.isfinite(pair).all() else 0.0


def reduce_constant_axes(interval: Interval) -> Interval:
    """Return the same with length 1 along every axis along which the elements do not differ."""
    low, high = np.broadcast_arrays(interval.low, interval.high)
    for axis in range(low.ndim):
        first = (slice(None),) * axis + (slice(0, 1),)
        if low.shape[axis] > 1 and all((e == e[first]).all() for e in (low, high)):
            low, high = low[first], high[first]
    return replace(interval, low=low, high=high)


def _full(ends: Ends, axis: int, size: int) -> np.ndarray:
    return np.broadcast_to(ends, (*ends.shape[:axis], size, *ends.shape[axis + 1 :]))


def _groups(old: Sequence[int], new: Sequence[int]):
    """Split two shapes of equal product into the shortest runs of axes of equal product."""
    i = j = 0
    while i < len(old) or j < len(new):
        before, after = [], []
        if i < len(old):
            before, i = [i], i + 1
        if j < len(new):
            after, j = [j], j + 1
        while (a := int(np.prod([old[d] for d in before]))) != (
            b := int(np.prod([new[d] for d in after]))
        ):
            if a < b or j >= len(new):
                before.append(i)
                i += 1
            else:
                after.append(j)
                j += 1
        yield before, after
