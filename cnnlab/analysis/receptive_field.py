"""Receptive fields of the values of a traced program, on one spatial axis of one input.

The recurrence r += (k - 1) d j, j *= s (Araujo, Norris & Sim 2019, Computing receptive fields of
convolutional neural networks) generalised from chains of layers to any program: what is followed
is the interval of input positions that each element of each value depends on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal

from cnnlab.analysis.interval_rules import RULES, unknown
from cnnlab.analysis.intervals import Reach, Scene, joined, union
from cnnlab.analysis.jaxpr import Equation, Program, Value, flatten, scan_counts

# Above this many numbers a constant is not computed to see which of them are zero.
LARGEST_CONSTANT = 1 << 20
# Turns of a loop that are followed one by one; after them all positions are assumed.
LONGEST_LOOP = 64


@dataclass(frozen=True)
class Field:
    """Receptive field of a value along one axis.

    Attributes:
        size: positions that its central element depends on, padding included; None: all there are,
            at any size of the input; 0: none.
        stride: positions between the fields of neighboring elements (the jump).
        start: first position of the field of the first element; negative in the padding. Counted
            back from the center, so that what a border does differently does not change it.
    """

    size: int | None
    stride: float
    start: float


def field(reach: Reach | None) -> Field:
    """Return the receptive field of the widest channel at the center of a value."""
    if reach is None:
        return Field(0, 0.0, 0.0)
    low, high = np.broadcast_arrays(reach.low, reach.high)
    axis, step = reach.dim, reach.step
    size = 1 if axis is None else low.shape[axis]
    # In enlarged maps not every element has a share of the input: one of a few neighbors has.
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
    # Between the steps of an enlarged map the true start is as good.
    near = np.min(first)
    return Field(round(widest), step, float(near) if abs(near - start) < 1 else start)


def reaches(program: Program, inputs: Sequence[Reach | None], size: int) -> list[Reach | None]:
    """Return the reach of each output of a program.

    Args:
        program: to follow.
        inputs: the reach of each of its inputs; None for what does not depend on the axis.
        size: length of the axis.
    """
    env = dict(zip(program.inputs, inputs, strict=True))
    scene = Scene(size, Constants(program, program.constants).of, Constants(program, {}).of)

    def of(value: Value) -> Reach | None:
        return None if isinstance(value, Literal) else env.get(value)

    for equation in program.equations:
        results = _follow(equation, [of(v) for v in equation.inputs], scene)
        env.update(zip(equation.outputs, results, strict=True))
    return [of(v) for v in program.outputs]


def _follow(equation: Equation, given: list[Reach | None], scene: Scene) -> list[Reach | None]:
    if all(reach is None for reach in given):
        return [None] * len(equation.outputs)
    if equation.name == "scan":
        return _scan(equation, given, scene)
    if equation.name == "cond":
        index, *operands = given
        bodies = equation.params["branches"]
        taken = scene.known(equation.inputs[0])
        if taken is not None:
            bodies = [bodies[int(np.clip(taken, 0, len(bodies) - 1))]]
        branches = [reaches(flatten(body), operands, scene.size) for body in bodies]
        found = [union(options) for options in zip(*branches, strict=True)]
        return found if index is None else unknown(equation, given, scene)
    rule = RULES.get(equation.name, unknown)
    result = rule(equation, given, scene)
    return result if isinstance(result, list) else [result]


def _scan(equation: Equation, given: list[Reach | None], scene: Scene) -> list[Reach | None]:
    p = equation.params
    (fixed, held), length = scan_counts(p), p["length"]
    if length > LONGEST_LOOP:
        return unknown(equation, given, scene)
    body = flatten(p["jaxpr"])
    carry = given[fixed : fixed + held]
    turns: list[list[Reach | None]] = [[] for _ in equation.outputs[held:]]
    order = range(length)[::-1] if p["reverse"] else range(length)
    for turn in order:
        parts = [_at(reach, turn) for reach in given[fixed + held :]]
        results = reaches(body, [*given[:fixed], *carry, *parts], scene.size)
        carry = results[:held]
        for collected, result in zip(turns, results[held:], strict=True):
            collected.append(result)
    stacked = [t[::-1] if p["reverse"] else t for t in turns]
    return [*carry, *(_stack(t) for t in stacked)]


def _at(reach: Reach | None, turn: int) -> Reach | None:
    """Return the reach of one entry of the first axis."""
    if reach is None:
        return None
    low, high = np.broadcast_arrays(reach.low, reach.high)
    turn = min(turn, low.shape[0] - 1)
    dim = reach.dim - 1 if reach.dim else None
    return Reach(low[turn], high[turn], dim, reach.step)


def _stack(turns: list[Reach | None]) -> Reach | None:
    def lifted(reach: Reach | None) -> Reach | None:
        if reach is None:
            return None
        dim = None if reach.dim is None else reach.dim + 1
        return Reach(reach.low[None], reach.high[None], dim, reach.step)

    return joined([lifted(r) for r in turns], 0, [1] * len(turns))


class Constants:
    """Values of a program that follow from some given ones alone, computed when asked for."""

    def __init__(self, program: Program, given: Mapping[Value, Any]):
        self.producers = program.producers()
        self.values: dict[Value, np.ndarray | None] = {v: np.asarray(c) for v, c in given.items()}

    def of(self, value: Value) -> np.ndarray | None:
        """Return the value, or None if it depends on anything else or is large."""
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
