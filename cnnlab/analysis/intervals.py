"""Which input positions a value depends on: an interval for each of its elements, on one axis.

Padding has positions too, before the first and after the last, so that a receptive field at the
border has the size that theory gives it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from cnnlab.analysis.jaxpr import Value
from cnnlab.errors import UserError

# Intervals that are followed: with their two ends 2 GB, and less than a minute.
LARGEST = 1 << 27
# Arrays; numpy makes scalars of those without axes.
Ends = Any


@dataclass(frozen=True)
class Reach:
    """Intervals of positions on one axis of the input.

    Attributes:
        low: first position each element depends on; an array that broadcasts to the value's shape,
            with 1 where the elements do not differ. -inf: all positions, +inf: none.
        high: last position, likewise, with the signs exchanged.
        dim: axis of the value along which the position moves, None if there is none.
        step: by how much it moves from one element to the next: the stride, or jump.
    """

    low: Ends
    high: Ends
    dim: int | None
    step: float


Reaches = Sequence[Reach | None]


@dataclass(frozen=True)
class Scene:
    """What rules ask of the program around an equation.

    Attributes:
        size: length of the input axis.
        known: returns the number or array that a value always is, or None.
        computed: the same without arrays from outside of the program, since those are weights,
            and a weight that happens to be zero is still a connection.
    """

    size: int
    known: Callable[[Value], np.ndarray | None]
    computed: Callable[[Value], np.ndarray | None]


def shape_of(value: Value) -> tuple[int, ...]:
    """Return the shape of a value of a program."""
    return value.aval.shape


def identity(size: int, ndim: int, dim: int) -> Reach:
    """Return the reach of the input itself: every element depends on its own position."""
    shape = [1] * ndim
    shape[dim] = size
    place = np.arange(size, dtype=float).reshape(shape)
    return Reach(place, place, dim, 1.0)


def check_size(positions: int) -> None:
    """Raise a `UserError` for more intervals than can be followed."""
    if positions > LARGEST:
        raise UserError(
            f"receptive fields of inputs of this size take {positions:,} intervals, and at most "
            f"{LARGEST:,} are followed: choose a smaller size"
        )


def everything(ndim: int, step: float = 1.0) -> Reach:
    """Return the reach of a value whose elements may all depend on all positions."""
    one = np.ones((1,) * ndim)
    return Reach(-np.inf * one, np.inf * one, None, step)


def union(reaches: Sequence[Reach | None]) -> Reach | None:
    """Return the reach of what combines values of broadcastable shapes, element by element."""
    present = [reach for reach in reaches if reach is not None]
    if not present:
        return None
    moving = next((r for r in present if r.dim is not None), present[0])
    low = reduce(np.minimum, (r.low for r in present))
    high = reduce(np.maximum, (r.high for r in present))
    return replace(moving, low=low, high=high)


def moved(reach: Reach, low: Ends, high: Ends, dims: Sequence[int | None]) -> Reach:
    """Return the reach after a change of axes; `dims` says which old axis each new one was."""
    dim = next((n for n, d in enumerate(dims) if d is not None and d == reach.dim), None)
    return Reach(low, high, dim, reach.step)


def widened(reach: Reach, axes: Sequence[int], size: int) -> Reach:
    """Return the reach of what combines all elements along some axes, which stay with length 1.

    Where the position moves along one of them and the whole input is taken in, that counts as
    everything: it will be at any size of the input.
    """
    if reach.dim not in axes:
        low = reach.low.min(axis=tuple(axes), keepdims=True)
        return replace(reach, low=low, high=reach.high.max(axis=tuple(axes), keepdims=True))
    if all(reach.low.shape[a] == reach.high.shape[a] == 1 for a in axes):
        return replace(reach, dim=None)
    low = reach.low.min(axis=tuple(axes), keepdims=True)
    high = reach.high.max(axis=tuple(axes), keepdims=True)
    whole = (low <= 0) & (high >= size - 1)
    return Reach(np.where(whole, -np.inf, low), np.where(whole, np.inf, high), None, reach.step)


def windowed(
    reach: Reach,
    axis: int,
    size: int,
    *,
    taps: int = 1,
    stride: int = 1,
    dilation: int = 1,
    spread: int = 1,
    pad: tuple[int, int] = (0, 0),
) -> Reach:
    """Return the reach of windows that move along an axis of length `size`.

    Args:
        reach: of the value that they look at.
        axis: along which they move.
        size: of the value there.
        taps: values in a window.
        stride: steps between windows.
        dilation: distance of taps.
        spread: distance of the value's elements; what is set between them depends on nothing.
        pad: elements added at the ends; negative: taken away.
    """
    step = reach.step * stride / spread if axis == reach.dim else reach.step
    if axis != reach.dim and reach.low.shape[axis] == reach.high.shape[axis] == 1:
        return reach
    length = (size - 1) * spread + 1 if size else 0
    count = max((length + sum(pad) - (taps - 1) * dilation - 1) // stride + 1, 0)
    places = np.arange(count)[:, None] * stride - pad[0] + np.arange(taps) * dilation
    true = places % spread == 0
    index = places // spread

    def seen(ends, nothing, fold):
        ends = np.moveaxis(_full(ends, axis, size), axis, 0)
        inside = np.clip(index, 0, max(size - 1, 0))
        # Outside, positions go on as they move from one element to the next.
        beyond = (index - inside) * (reach.step if axis == reach.dim else 0.0)
        extra = ends.ndim - 1
        values = ends[inside] + beyond.reshape(*beyond.shape, *(1,) * extra)
        values = np.where(true.reshape(*true.shape, *(1,) * extra), values, nothing)
        return np.moveaxis(fold(values, axis=1), 0, axis)

    low = seen(reach.low, np.inf, np.min)
    high = seen(reach.high, -np.inf, np.max)
    return Reach(low, high, reach.dim, step)


def joined(reaches: Sequence[Reach | None], axis: int, sizes: Sequence[int]) -> Reach | None:
    """Return the reach of values set side by side along an axis."""
    present = [(r, n) for r, n in zip(reaches, sizes, strict=True) if r is not None]
    if not present:
        return None
    largest = max(present, key=lambda pair: pair[1])[0]
    ndim = largest.low.ndim

    def side_by_side(ends, nothing):
        parts = []
        for reach, n in zip(reaches, sizes, strict=True):
            part = np.full((1,) * ndim, nothing) if reach is None else ends(reach)
            parts.append(_full(part, axis, n))
        around = np.broadcast_shapes(*(np.delete(p.shape, axis) for p in parts))
        full = [np.insert(around, axis, n) for n in sizes]
        return np.concatenate(
            [np.broadcast_to(p, s) for p, s in zip(parts, full, strict=True)], axis
        )

    low = side_by_side(lambda r: r.low, np.inf)
    high = side_by_side(lambda r: r.high, -np.inf)
    return shrunk(replace(largest, low=low, high=high))


def reshaped(reach: Reach, old: Sequence[int], new: Sequence[int]) -> Reach:
    """Return the reach after a reshape from shape `old` to `new`."""
    low, high, dim, step = reach.low, reach.high, None, reach.step
    here: list[int] = []
    there: list[int] = []
    moving: list[int] = []
    alone = reach.dim is not None and old[reach.dim] == 1
    for before, after in _groups(old, new):
        sizes = [old[d] for d in before]
        if any(low.shape[d] > 1 or high.shape[d] > 1 for d in before):
            here += sizes
            there += [new[d] for d in after]
        else:
            here += [1] * len(before)
            there += [1] * len(after)
        if reach.dim is not None and reach.dim in before:
            moving = [d for d in after if (new[d] == 1) == alone]
            if not alone and len(moving) == 1:
                step /= int(np.prod(sizes[before.index(reach.dim) + 1 :]))
    check_size(math.prod(here))
    low, high = (np.broadcast_to(ends, here).reshape(there) for ends in (low, high))
    if len(moving) > 1 and not alone:
        # Of an axis that was split, the position moves most along the outer part.
        steps = [_step(low, d) for d in moving]
        step = max(steps, key=abs)
        moving = [moving[steps.index(step)]]
    dim = moving[0] if moving else None
    return shrunk(Reach(low, high, dim, step))


def _step(ends: np.ndarray, axis: int) -> float:
    """Return by how much the ends move from one element to the next, in the middle."""
    size = ends.shape[axis]
    if size < 2:
        return 0.0
    ends = np.moveaxis(ends, axis, 0)
    middle = min(size // 2, size - 2)
    pair = [float(ends[n].ravel()[ends[n].size // 2]) for n in (middle, middle + 1)]
    return pair[1] - pair[0] if np.isfinite(pair).all() else 0.0


def shrunk(reach: Reach) -> Reach:
    """Return the same with length 1 along every axis where the elements do not differ."""
    low, high = np.broadcast_arrays(reach.low, reach.high)
    for axis in range(low.ndim):
        first = (slice(None),) * axis + (slice(0, 1),)
        if low.shape[axis] > 1 and all((e == e[first]).all() for e in (low, high)):
            low, high = low[first], high[first]
    return replace(reach, low=low, high=high)


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
