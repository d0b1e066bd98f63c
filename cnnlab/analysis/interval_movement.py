"""Dependency intervals of primitives that only move elements, as reshape, slice and concatenate.

Rules as in `interval_rules`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.analysis.intervals import (
    Interval,
    Intervals,
    TraceContext,
    concatenate,
    reshape,
    shape_of,
    slide_window,
    with_axes,
)
from cnnlab.analysis.jaxpr import Equation


def single_operand(rule: Callable[[Equation, Interval, TraceContext], Interval]):
    """Return a rule, given one for the first operand; other operands depend on nothing."""

    def apply(equation: Equation, intervals: Intervals, context: TraceContext) -> Interval | None:
        return None if intervals[0] is None else rule(equation, intervals[0], context)

    return apply


def _broadcast_in_dim(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
    old: list[int | None] = [None] * len(shape)
    new = [1] * len(shape)
    for source, target in enumerate(places):
        # Along an axis of length 1 that is repeated, the position does not move.
        old[target] = source if shape_of(equation.inputs[0])[source] == shape[target] else None
    low, high = np.broadcast_arrays(interval.low, interval.high)
    for source, target in enumerate(places):
        new[target] = low.shape[source]
    return with_axes(interval, low.reshape(new), high.reshape(new), old)


def _reshape(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    return reshape(interval, shape_of(equation.inputs[0]), shape_of(equation.outputs[0]))


def _transpose(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    order = equation.params["permutation"]
    return with_axes(interval, interval.low.transpose(order), interval.high.transpose(order), order)


def _reverse(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    dims = equation.params["dimensions"]
    step = -interval.step if interval.dim in dims else interval.step
    return Interval(np.flip(interval.low, dims), np.flip(interval.high, dims), interval.dim, step)


def _slice(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    shape, p = shape_of(equation.inputs[0]), equation.params
    strides = p["strides"] or (1,) * len(shape)
    for axis, (start, stop, stride) in enumerate(
        zip(p["start_indices"], p["limit_indices"], strides, strict=True)
    ):
        size = shape[axis]
        if (start, stop, stride) != (0, size, 1):
            interval = slide_window(
                interval, axis, size, stride=stride, pad=(-int(start), int(stop) - size)
            )
    return interval


def _pad(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    shape = shape_of(equation.inputs[0])
    for axis, config in enumerate(equation.params["padding_config"]):
        low, high, interior = map(int, config)
        if (low, high, interior) != (0, 0, 0):
            interval = slide_window(
                interval, axis, shape[axis], base_dilation=interior + 1, pad=(low, high)
            )
    return interval


def _concatenate(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> Interval | None:
    axis = int(equation.params["dimension"])
    return concatenate(intervals, axis, [shape_of(v)[axis] for v in equation.inputs])


def _stack(equation: Equation, intervals: Intervals, context: TraceContext) -> Interval | None:
    axis = int(equation.params["axis"])

    def lifted(interval: Interval | None) -> Interval | None:
        if interval is None:
            return None
        kept: list[int | None] = list(range(interval.low.ndim))
        kept.insert(axis, None)
        low, high = (np.expand_dims(ends, axis) for ends in (interval.low, interval.high))
        return with_axes(interval, low, high, kept)

    return concatenate([lifted(r) for r in intervals], axis, [1] * len(intervals))


def _unstack(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> list[Interval | None]:
    (interval,) = (r for r in intervals if r is not None)
    axis = int(equation.params["axis"])
    kept = [d for d in range(interval.low.ndim) if d != axis]

    def one(n: int) -> Interval:
        low, high = (e.take(min(n, e.shape[axis] - 1), axis) for e in (interval.low, interval.high))
        return with_axes(interval, low, high, kept)

    return [one(n) for n in range(len(equation.outputs))]


def _tile(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    shape = shape_of(equation.inputs[0])
    for axis, times in enumerate(equation.params["reps"]):
        if times > 1:
            tiled = concatenate([interval] * times, axis, [shape[axis]] * times)
            assert tiled is not None
            interval = tiled
    return interval


def _split(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> list[Interval | None]:
    (interval,) = (r for r in intervals if r is not None)
    axis, start = int(equation.params["axis"]), 0
    parts: list[Interval | None] = []
    size = shape_of(equation.inputs[0])[axis]
    for length in map(int, equation.params["sizes"]):
        parts.append(slide_window(interval, axis, size, pad=(-start, start + length - size)))
        start += length
    return parts


def _squeeze(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    axes = equation.params["dimensions"]
    kept = [d for d in range(interval.low.ndim) if d not in axes]
    return with_axes(interval, interval.low.squeeze(axes), interval.high.squeeze(axes), kept)


RULES: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": single_operand(_broadcast_in_dim),
    "reshape": single_operand(_reshape),
    "transpose": single_operand(_transpose),
    "rev": single_operand(_reverse),
    "slice": single_operand(_slice),
    "pad": single_operand(_pad),
    "squeeze": single_operand(_squeeze),
    "concatenate": _concatenate,
    "stack": _stack,
    "unstack": _unstack,
    "tile": single_operand(_tile),
    "split": _split,
}
