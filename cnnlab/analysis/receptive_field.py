"""Receptive fields of the values of a traced program, on one spatial axis of one input.

The recurrence r += (k - 1) d j, j *= s (Araujo, Norris & Sim 2019, Computing receptive fields of
convolutional neural networks) generalized from chains of layers to any program: each element of
each value has a dependency interval, the input positions that it depends on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from cnnlab.analysis.interval_rules import RULES, unknown
from cnnlab.analysis.intervals import Interval, TraceContext, concatenate, union
from cnnlab.analysis.jaxpr import Equation, Program, Value, flatten, scan_counts

# Constants of more numbers are not computed to find their zeros.
LARGEST_CONSTANT = 1 << 20
# A longer loop is not unrolled: its results depend on all positions.
LONGEST_LOOP = 64


@dataclass(frozen=True)
class Field:
    """Receptive field of a value along one axis.

    Attributes:
        size: positions that its central element depends on, padding included; None: all of them,
            at any size of the input; 0: none.
        stride: positions between the fields of neighboring elements (the jump).
        start: first position of the field of the first element; negative in the padding. Counted
            back from the center, so that it does not depend on the border.
    """

    size: int | None
    stride: float
    start: float


def field(interval: Interval | None) -> Field:
    """Return the receptive field of the widest channel at the center of a value."""
    if interval is None:
        return Field(0, 0.0, 0.0)
    low, high = np.broadcast_arrays(interval.low, interval.high)
    axis, step = interval.dim, interval.step
    size = 1 if axis is None else low.shape[axis]
    # In upsampled maps only one of a few neighbors depends on the input.
    few = 1 if abs(step) >= 1 else math.ceil(1 / abs(step))
    places = [n for n in range(size // 2, size // 2 + few) if n < size]
    if axis is not None:
        first, low, high = low.take(0, axis), low.take(places, axis), high.take(places, axis)
    widths = high - low + 1
    widest = float(np.max(widths, initial=0))
    if np.isinf(widest):
        return Field(None if widest > 0 else 0, step, -np.inf)
    if axis is None:
        return Field(round(widest), step, float(low.min()))
    start = float(low[widths == widths.max()].min()) - places[0] * step
    # Between the steps of an upsampled map the first element itself gives the start.
    near = np.min(first)
    return Field(round(widest), step, float(near) if abs(near - start) < 1 else start)


def dependency_intervals(
    program: Program, inputs: Sequence[Interval | None], size: int
) -> list[Interval | None]:
    """Return the dependency interval of each output of a program.

    Args:
        program: traced.
        inputs: the interval of each of its inputs; None for those that do not depend on the axis.
        size: length of the input axis.
    """
    env = dict(zip(program.inputs, inputs, strict=True))
    context = TraceContext(
        size, Constants(program, program.constants).of, Constants(program, {}).of
    )

    def of(value: Value) -> Interval | None:
        return None if isinstance(value, Literal) else env.get(value)

    for equation in program.equations:
        results = _follow(equation, [of(v) for v in equation.inputs], context)
        env.update(zip(equation.outputs, results, strict=True))
    return [of(v) for v in program.outputs]


def _follow(
    equation: Equation, given: list[Interval | None], context: TraceContext
) -> list[Interval | None]:
    if all(interval is None for interval in given):
        return [None] * len(equation.outputs)
    if equation.name == "scan":
        return _scan(equation, given, context)
    if equation.name == "cond":
        index, *operands = given
        bodies = equation.params["branches"]
        taken = context.known(equation.inputs[0])
        if taken is not None:
            bodies = [bodies[int(np.clip(taken, 0, len(bodies) - 1))]]
        branches = [dependency_intervals(flatten(body), operands, context.size) for body in bodies]
        found = [union(options) for options in zip(*branches, strict=True)]
        return found if index is None else unknown(equation, given, context)
    rule = RULES.get(equation.name, unknown)
    result = rule(equation, given, context)
    return result if isinstance(result, list) else [result]


def _scan(
    equation: Equation, given: list[Interval | None], context: TraceContext
) -> list[Interval | None]:
    p = equation.params
    (fixed, held), length = scan_counts(p), p["length"]
    if length > LONGEST_LOOP:
        return unknown(equation, given, context)
    body = flatten(p["jaxpr"])
    carry = given[fixed : fixed + held]
    iterations: list[list[Interval | None]] = [[] for _ in equation.outputs[held:]]
    order = range(length)[::-1] if p["reverse"] else range(length)
    for n in order:
        parts = [_at(interval, n) for interval in given[fixed + held :]]
        results = dependency_intervals(body, [*given[:fixed], *carry, *parts], context.size)
        carry = results[:held]
        for collected, result in zip(iterations, results[held:], strict=True):
            collected.append(result)
    stacked = [t[::-1] if p["reverse"] else t for t in iterations]
    return [*carry, *(_stack(t) for t in stacked)]


def _at(interval: Interval | None, n: int) -> Interval | None:
    """Return the interval of one entry of the first axis."""
    if interval is None:
        return None
    low, high = np.broadcast_arrays(interval.low, interval.high)
    n = min(n, low.shape[0] - 1)
    dim = interval.dim - 1 if interval.dim else None
    return Interval(low[n], high[n], dim, interval.step)


def _stack(iterations: list[Interval | None]) -> Interval | None:
    def lifted(interval: Interval | None) -> Interval | None:
        if interval is None:
            return None
        dim = None if interval.dim is None else interval.dim + 1
        return Interval(interval.low[None], interval.high[None], dim, interval.step)

    return concatenate([lifted(r) for r in iterations], 0, [1] * len(iterations))


class Constants:
    """Values of a program that depend on given constants alone, computed on demand."""

    def __init__(self, program: Program, given: Mapping[Value, Any]):
        self.producers = program.producers()
        self.values: dict[Value, np.ndarray | None] = {v: np.asarray(c) for v, c in given.items()}

    def of(self, value: Value) -> np.ndarray | None:
        """Return the value, or None if it is no constant or large."""
        if isinstance(value, Literal):
            return np.asarray(value.val)
        if value not in self.values:
            self.values[value] = None
            self._compute(value)
        return self.values[value]

    def _compute(self, value: Value) -> None:
        equation = self.producers.get(value)
        sizes = [] if equation is None else [v.aval.size for v in equation.outputs]
        if equation is None or max(sizes) > LARGEST_CONSTANT:
            return
        inputs = [self.of(v) for v in equation.inputs]
        if any(i is None for i in inputs):
            return
        results = equation.primitive.bind(*map(jax.numpy.asarray, inputs), **equation.params)
        results = results if equation.primitive.multiple_results else [results]
        for variable, result in zip(equation.outputs, results, strict=True):
            self.values[variable] = np.asarray(result)
