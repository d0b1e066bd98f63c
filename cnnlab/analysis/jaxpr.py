"""The jaxpr of a function as a flat list of equations, with its calls inlined.

Inlined are jit, custom derivatives and rematerialization, and of `platform_dependent` the default
branch, which has the operation as the papers define it. Loops and data-dependent branches stay
single equations with programs inside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var

# A variable, or a number known while tracing; with an abstract value `aval`.
Value = Any


@dataclass(frozen=True)
class Equation:
    """One operation: its name, operands, results and parameters."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    params: dict[str, Any]
    primitive: Any


@dataclass(frozen=True)
class Program:
    """Equations in topological order.

    Attributes:
        inputs: variables, one for each leaf of the arguments.
        outputs: values, one for each leaf of the result.
        equations: in an order in which they can be computed.
        constants: arrays that were constant while tracing, by variable.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    equations: tuple[Equation, ...]
    constants: dict[Value, Any]

    def producers(self) -> dict[Value, Equation]:
        """Return the equation that computes each variable."""
        return {v: equation for equation in self.equations for v in equation.outputs}


def trace(function: Callable[..., Any], *args: Any) -> Program:
    """Return the program of `function(*args)`; the arguments may be `ShapeDtypeStruct`."""
    return flatten(jax.make_jaxpr(function)(*args))


def flatten(closed: ClosedJaxpr) -> Program:
    """Return the equations of a jaxpr with its calls inlined."""
    constants: dict[Value, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    equations: list[Equation] = []
    outputs = _inline(closed.jaxpr, {}, equations, constants)
    return Program(tuple(closed.jaxpr.invars), tuple(outputs), tuple(equations), constants)


def part(program: Program, inputs: Sequence[Value], outputs: Sequence[Value]) -> Program:
    """Return the part of a program that leads from some of its values to others."""
    producers = program.producers()
    needed, seen, waiting = set(), set(inputs), list(outputs)
    while waiting:
        value = waiting.pop()
        if isinstance(value, Literal) or value in seen:
            continue
        seen.add(value)
        if value in producers:
            needed.add(id(producers[value]))
            waiting.extend(producers[value].inputs)
    equations = tuple(e for e in program.equations if id(e) in needed)
    constants = {v: program.constants[v] for v in program.constants if v in seen - {*inputs}}
    return Program(tuple(inputs), tuple(outputs), equations, constants)


def programs_of(equation: Equation) -> list[Program]:
    """Return the programs inside an equation that is not inlined: bodies and branches."""
    found = []
    for value in equation.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            jaxpr = _closed(item)
            if jaxpr is not None:
                found.append(flatten(jaxpr))
    return found


def scan_counts(params: dict[str, Any]) -> tuple[int, int]:
    """Return how many operands of a `scan` are constant, and how many are carried."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    # From jax 0.11 on.
    fixed, carried, _ = params["ft_in"].unpack()
    return len(fixed), len(carried)


def _closed(item: Any) -> ClosedJaxpr | None:
    # From jax 0.11 on there is one class for both.
    if isinstance(item, ClosedJaxpr):
        return item
    return ClosedJaxpr(item, ()) if isinstance(item, Jaxpr) else None


def _inline(jaxpr, names: dict, equations: list, constants: dict) -> list[Value]:
    """Append the equations of `jaxpr`; `names` maps its variables to those outside.

    A jaxpr that is called twice is inlined twice, with new variables each time.
    """

    def outside(value: Value) -> Value:
        return value if isinstance(value, Literal) else names.get(value, value)

    chosen: dict[Var, int] = {}
    for eqn in jaxpr.eqns:
        inputs = [outside(v) for v in eqn.invars]
        name = eqn.primitive.name
        if name == "platform_index":
            chosen[eqn.outvars[0]] = _default_branch(eqn.params["platforms"])
            continue
        body, operands = _body(eqn, inputs, chosen)
        if body is not None:
            inner = dict(zip(body.jaxpr.invars, operands, strict=True))
            for variable, constant in zip(body.jaxpr.constvars, body.consts, strict=True):
                inner[variable] = _fresh(variable)
                constants[inner[variable]] = constant
            results = _inline(body.jaxpr, inner, equations, constants)
            names.update(zip(eqn.outvars, results, strict=True))
            continue
        outputs = tuple(_fresh(v) for v in eqn.outvars)
        names.update(zip(eqn.outvars, outputs, strict=True))
        equations.append(Equation(name, tuple(inputs), outputs, eqn.params, eqn.primitive))
    return [outside(v) for v in jaxpr.outvars]


def _body(eqn, inputs: list, chosen: dict) -> tuple[ClosedJaxpr | None, list]:
    """Return the jaxpr that an equation calls and its operands, if it is a call."""
    name = eqn.primitive.name
    if name == "cond":
        known = chosen.get(eqn.invars[0])
        return (None, []) if known is None else (eqn.params["branches"][known], inputs[1:])
    if name in ("scan", "while"):
        return None, []
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        closed = _closed(eqn.params.get(key))
        if closed is not None and len(closed.jaxpr.invars) == len(inputs):
            return closed, inputs
    return None, []


def _default_branch(platforms: tuple) -> int:
    return next((n for n, names in enumerate(platforms) if names is None), len(platforms) - 1)


def _fresh(variable: Value) -> Value:
    return Var(variable.aval)
