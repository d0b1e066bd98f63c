"""Dependency intervals of each JAX primitive, from those of its operands: a table of rules.

A rule takes the equation, an `Interval` or None for each operand, of which at least one is not
None, and the `TraceContext`. The result of a primitive without a rule may depend on everything.
Rules of primitives that only move elements are in `interval_movement`, convolutions and matrix
products in `interval_products`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.analysis import interval_movement
from cnnlab.analysis.interval_movement import single_operand
from cnnlab.analysis.interval_products import convolution, dot_general
from cnnlab.analysis.intervals import (
    Interval,
    Intervals,
    TraceContext,
    everything,
    reduce_axes,
    reduce_constant_axes,
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


def _reduce(equation: Equation, interval: Interval, context: TraceContext) -> Interval:
    axes = tuple(map(int, equation.params["axes"]))
    interval = reduce_axes(interval, axes, context.size)
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
    **interval_movement.RULES,
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
        f"reduce_{name}": single_operand(_reduce)
        for name in ("sum", "max", "min", "prod", "and", "or", "xor")
    },
    "argmax": single_operand(_reduce),
    "argmin": single_operand(_reduce),
    **{
        f"cum{name}": single_operand(_cumulative)
        for name in ("sum", "prod", "max", "min", "logsumexp")
    },
    **{f"reduce_window_{name}": single_operand(_reduce_window) for name in ("sum", "max", "min")},
    "reduce_window": single_operand(_reduce_window),
}
