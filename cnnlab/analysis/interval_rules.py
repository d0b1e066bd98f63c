"""Dependency intervals of each JAX primitive, from those of its operands: a table of rules.

A rule takes the equation, an `Interval` or None for each operand, of which at least one is not
None, and the `TraceContext`. The result of a primitive without a rule may depend on everything.
Convolutions and matrix products are in `interval_products`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.analysis.interval_products import convolution, dot_general
from cnnlab.analysis.intervals import (
    Interval,
    Intervals,
    TraceContext,
    concatenate,
    everything,
    reduce_axes,
    reduce_constant_axes,
    reshape,
    shape_of,
    slide_window,
    union,
    with_axes,
)
from cnnlab.analysis.jaxpr import Equation

NAMES = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp clz complex conj
    convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1
    floor ge gt igamma igammac imag integer_pow is_finite le lgamma log log1p logistic lt max
    min mul ne neg nextafter not or population_count pow pvary real reduce_precision rem round
    rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt
    square stop_gradient sub tan tanh xor
"""
ELEMENTWISE = frozenset(NAMES.split())


def elementwise(equation: Equation, intervals: Intervals, context: TraceContext) -> Interval | None:
    """Every element depends on the elements at its place, and on all scalars."""
    ndim = len(shape_of(equation.outputs[0]))
    return union([r if r is None or r.low.ndim == ndim else _scalar(r, ndim) for r in intervals])


def _scalar(interval: Interval, ndim: int) -> Interval:
    return Interval(
        interval.low.reshape((1,) * ndim), interval.high.reshape((1,) * ndim), None, interval.step
    )


def _single_operand(rule: Callable[[Equation, Interval, TraceContext], Interval]):
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


def _reduce(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    axes = tuple(map(int, equation.params["axes"]))
    interval = reduce_axes(interval, axes, context.size)
    kept = [d for d in range(interval.low.ndim) if d not in axes]
    return with_axes(interval, interval.low.squeeze(axes), interval.high.squeeze(axes), kept)


def _squeeze(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    axes = equation.params["dimensions"]
    kept = [d for d in range(interval.low.ndim) if d not in axes]
    return with_axes(interval, interval.low.squeeze(axes), interval.high.squeeze(axes), kept)


def _cumulative(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    axis, backwards = equation.params["axis"], equation.params.get("reverse", False)

    def running(ends, fold):
        ends = np.flip(ends, axis) if backwards else ends
        ends = fold.accumulate(ends, axis)
        return np.flip(ends, axis) if backwards else ends

    low, high = running(interval.low, np.minimum), running(interval.high, np.maximum)
    return Interval(low, high, interval.dim, interval.step)


def _sort(equation: Equation, intervals: Intervals, context: TraceContext) -> list[Interval | None]:
    both = union(intervals)
    if both is not None:
        both = reduce_axes(both, (equation.params["dimension"],), context.size)
    return [both] * len(equation.outputs)


def _top_k(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> list[Interval | None]:
    interval = intervals[0]
    if interval is not None:
        interval = reduce_axes(interval, (interval.low.ndim - 1,), context.size)
    return [interval] * 2


def _reduce_window(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    p, shape = equation.params, shape_of(equation.inputs[0])
    for axis, taps in enumerate(p["window_dimensions"]):
        interval = slide_window(
            interval,
            axis,
            shape[axis],
            taps=taps,
            stride=p["window_strides"][axis],
            dilation=p["window_dilation"][axis],
            base_dilation=p["base_dilation"][axis],
            pad=p["padding"][axis],
        )
    return reduce_constant_axes(interval)


def _index_by_known(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> Interval | None:
    """Gather and slice at known places: the primitive is applied to the intervals themselves."""
    operand, *places = equation.inputs
    indices = [context.known(v) for v in places]
    if intervals[0] is None or any(i is None for i in indices):
        return _depend_on_all(equation, intervals, context)
    params: dict[str, Any] = dict(equation.params)
    ends = []
    for array, nothing in ((intervals[0].low, np.inf), (intervals[0].high, -np.inf)):
        full = np.broadcast_to(array, shape_of(operand)).astype(np.float32)
        taken = np.asarray(equation.primitive.bind(full, *indices, **params), float)
        ends.append(np.where(np.isnan(taken), nothing, taken))
    shape = shape_of(equation.outputs[0])
    dim = intervals[0].dim if len(shape) == len(shape_of(operand)) else None
    step = intervals[0].step
    if dim is not None and shape[dim] > 1:
        step *= shape_of(operand)[dim] / shape[dim] if equation.name == "gather" else 1
    return reduce_constant_axes(Interval(ends[0], ends[1], dim, step))


def _depend_on_all(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> Interval | None:
    """Every element may depend on all that any element of any operand depends on."""
    ndim = len(shape_of(equation.outputs[0]))
    found = [reduce_axes(r, range(r.low.ndim), context.size) for r in intervals if r is not None]
    return union([_scalar(r, ndim) for r in found])


def _barrier(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> list[Interval | None]:
    return list(intervals)


def unknown(
    equation: Equation, intervals: Intervals, context: TraceContext
) -> list[Interval | None]:
    """Return everything for every result."""
    return [everything(len(shape_of(v))) for v in equation.outputs]


RULES: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _single_operand(_broadcast_in_dim),
    "reshape": _single_operand(_reshape),
    "transpose": _single_operand(_transpose),
    "rev": _single_operand(_reverse),
    "slice": _single_operand(_slice),
    "pad": _single_operand(_pad),
    "squeeze": _single_operand(_squeeze),
    "concatenate": _concatenate,
    "stack": _stack,
    "unstack": _unstack,
    "tile": _single_operand(_tile),
    "split": _split,
    "sort": _sort,
    "top_k": _top_k,
    "conv_general_dilated": convolution,
    "dot_general": dot_general,
    "gather": _index_by_known,
    "dynamic_slice": _index_by_known,
    **{f"scatter{kind}": _depend_on_all for kind in ("", "-add", "-sub", "-mul", "-min", "-max")},
    "dynamic_update_slice": _depend_on_all,
    "optimization_barrier": _barrier,
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **{
        f"reduce_{name}": _single_operand(_reduce)
        for name in ("sum", "max", "min", "prod", "and", "or", "xor")
    },
    "argmax": _single_operand(_reduce),
    "argmin": _single_operand(_reduce),
    **{
        f"cum{name}": _single_operand(_cumulative)
        for name in ("sum", "prod", "max", "min", "logsumexp")
    },
    **{f"reduce_window_{name}": _single_operand(_reduce_window) for name in ("sum", "max", "min")},
    "reduce_window": _single_operand(_reduce_window),
}
