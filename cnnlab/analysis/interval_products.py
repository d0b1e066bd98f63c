"""Dependency intervals of convolutions and matrix products, from those of their operands."""

import numpy as np

from cnnlab.analysis.intervals import (
    Interval,
    Intervals,
    TraceContext,
    reduce_axes,
    shape_of,
    slide_window,
    union,
    with_axes,
)
from cnnlab.analysis.jaxpr import Equation


def convolution(equation: Equation, intervals: Intervals, context: TraceContext) -> Interval | None:
    """Windows over the input; where the kernel depends on it, on all of the kernel."""
    x, kernel = intervals
    p = equation.params
    numbers = p["dimension_numbers"]
    shape, window = shape_of(equation.inputs[0]), shape_of(equation.inputs[1])
    ndim = len(shape)
    found: list[Interval | None] = []
    if x is not None:
        for n, axis in enumerate(numbers.lhs_spec[2:]):
            x = slide_window(
                x,
                axis,
                shape[axis],
                taps=window[numbers.rhs_spec[2 + n]],
                stride=p["window_strides"][n],
                dilation=p["rhs_dilation"][n],
                base_dilation=p["lhs_dilation"][n],
                pad=p["padding"][n],
            )
        filters = window[numbers.rhs_spec[0]]
        x = _mix_channels(x, numbers.lhs_spec[1], p["feature_group_count"], filters, context.size)
        if p["batch_group_count"] > 1:
            x = reduce_axes(x, (numbers.lhs_spec[0],), context.size)
        order = [0] * ndim
        for source, target in zip(numbers.lhs_spec, numbers.out_spec, strict=True):
            order[target] = source
        found.append(with_axes(x, x.low.transpose(order), x.high.transpose(order), order))
    if kernel is not None:
        found.append(reduce_axes(kernel, range(ndim), context.size))
    return union(found)


def _mix_channels(interval: Interval, axis: int, groups: int, filters: int, size: int) -> Interval:
    """Return the interval after every filter has combined the channels of its group."""
    channels = interval.low.shape[axis]
    if channels == 1 or groups == 1:
        return reduce_axes(interval, (axis,), size)

    def mixed(ends, fold):
        ends = np.moveaxis(ends, axis, -1)
        ends = fold(ends.reshape(*ends.shape[:-1], groups, -1), axis=-1)
        return np.moveaxis(np.repeat(ends, filters // groups, axis=-1), -1, axis)

    low, high = np.broadcast_arrays(interval.low, interval.high)
    return Interval(mixed(low, np.min), mixed(high, np.max), interval.dim, interval.step)


def dot_general(equation: Equation, intervals: Intervals, context: TraceContext) -> Interval | None:
    """Each result depends on a row of one operand and a column of the other."""
    contract, batch = _dimensions(equation)
    ndim = len(shape_of(equation.outputs[0]))
    found: list[Interval | None] = []
    free_before = 0
    for n, (interval, value) in enumerate(zip(intervals, equation.inputs, strict=True)):
        rank = len(shape_of(value))
        free = [d for d in range(rank) if d not in contract[n] and d not in batch[n]]
        first, free_before = len(batch[n]) + free_before, free_before + len(free)
        if interval is None:
            continue
        pattern = _pattern(equation, 1 - n, context)
        if pattern is not None:
            found.append(_times_known(interval, contract[n][0], pattern, ndim, n))
            continue
        wide = reduce_axes(interval, contract[n], context.size)
        kept = [*batch[n], *free]
        dims: list[int | None] = [None] * ndim
        shape = [1] * ndim
        for place, source in enumerate(kept):
            target = place if place < len(batch[n]) else first + place - len(batch[n])
            dims[target] = source
        low, high = np.broadcast_arrays(wide.low, wide.high)
        for target, d in enumerate(dims):
            shape[target] = 1 if d is None else low.shape[d]
        order = [*kept, *contract[n]]
        low, high = (ends.transpose(order).reshape(shape) for ends in (low, high))
        found.append(with_axes(wide, low, high, dims))
    return union(found)


def _dimensions(equation: Equation) -> tuple[list[list[int]], list[list[int]]]:
    """Return contracted and batch axes of both operands; jax may have them as numpy integers."""
    contract, batch = equation.params["dimension_numbers"]
    return [list(map(int, axes)) for axes in contract], [list(map(int, axes)) for axes in batch]


def _pattern(equation: Equation, other: int, context: TraceContext) -> np.ndarray | None:
    """Return where a known matrix is not zero, [contracted, kept], if the product is that simple.

    The weights of an interpolation are such a matrix: most of it is zero.
    """
    contract, batch = _dimensions(equation)
    plain = len(contract[0]) == 1 and not batch[0] and len(shape_of(equation.inputs[other])) == 2
    matrix = context.computed(equation.inputs[other]) if plain else None
    if matrix is None:
        return None
    pattern = np.moveaxis(np.asarray(matrix), contract[other][0], 0) != 0
    return None if pattern.all() else pattern


def _times_known(
    interval: Interval, axis: int, pattern: np.ndarray, ndim: int, side: int
) -> Interval:
    """Return the interval of a product with a known matrix, where zeros carry no dependency."""
    low, high = np.broadcast_arrays(interval.low, interval.high)
    along = np.moveaxis(low, axis, -1)[..., None], np.moveaxis(high, axis, -1)[..., None]
    low = np.where(pattern, along[0], np.inf).min(axis=-2)
    high = np.where(pattern, along[1], -np.inf).max(axis=-2)
    # The kept axis of the matrix comes last if it is on the right, first if on the left.
    place = ndim - 1 if side == 0 else 0
    low, high = np.moveaxis(low, -1, place), np.moveaxis(high, -1, place)
    kept = [d for d in range(interval.low.ndim) if d != axis]
    kept.insert(place, axis)
    step = interval.step
    if interval.dim == axis:
        step *= pattern.shape[0] / pattern.shape[1]
    return with_axes(Interval(low, high, interval.dim, step), low, high, kept)
