"""Summary of a model from its traced program: shapes, parameters, MACs, receptive fields.

Nothing is computed and no table of layers is used, so it works for any JAX function: branches,
concatenations, residual sums, loops, layers of other libraries.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from cnnlab.analysis.intervals import Interval, check_size, input_interval
from cnnlab.analysis.jaxpr import Equation, Program, Value, part, trace
from cnnlab.analysis.macs import activations, equation_macs
from cnnlab.analysis.receptive_field import Field, dependency_intervals, field
from cnnlab.errors import UserError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """An endpoint, with the parameters and MACs that it needs beyond the endpoints before it.

    Attributes:
        name: of the endpoint.
        shape: of its value, batch included.
        parameters: trainable numbers first used for it.
        macs: multiply-adds first needed for it, for the whole batch.
        activations: outputs of the convolutions and matrix products among them.
        fields: its receptive field along each spatial axis of the input.
    """

    name: str
    shape: Shape
    parameters: int
    macs: int
    activations: int
    fields: tuple[Field, ...]

    @property
    def receptive_field(self) -> tuple[int | None, ...]:
        """Input positions that its central element depends on, along each axis; None: all."""
        return tuple(f.size for f in self.fields)

    @property
    def stride(self) -> tuple[float, ...]:
        """Input positions between the fields of neighboring elements, along each axis."""
        return tuple(f.stride for f in self.fields)

    @property
    def start(self) -> tuple[float, ...]:
        """First input position of the first element's field; negative in the padding."""
        return tuple(f.start for f in self.fields)


@dataclass(frozen=True)
class Summary:
    """Rows in the order of the endpoints, and the whole."""

    rows: tuple[Row, ...]
    total: Row

    def row(self, name: str) -> Row:
        """Return the row of an endpoint."""
        found = [row for row in self.rows if row.name == name]
        if not found:
            names = ", ".join(row.name for row in self.rows)
            raise UserError(f"no endpoint '{name}'; there are: {names}")
        return found[0]


def summarize(
    target: nn.Module | Callable[..., Any],
    *inputs: Any,
    params: Any = None,
    axes: Sequence[int] | None = None,
    **call: Any,
) -> Summary:
    """Return the summary of a model or of any function.

    What `target` returns may be `(output, endpoints)` with a dict of named values, as the project's
    models do, or any tree of arrays.

    Args:
        target: a Flax module, or a function of `inputs`.
        inputs: shapes with the batch first, such as (1, 224, 224, 3), or arrays (only their shapes
            and dtypes matter). Receptive fields are those on the first.
        params: parameters, or their shapes, if `target` is a function of them and the inputs.
        axes: spatial axes of the first input; all between its first and its last unless given.
        call: further arguments of the call. A module that takes `train` gets False.

    Raises:
        UserError: for an input without the axes, or too large to follow its receptive fields.
    """
    given = [_abstract(x) for x in inputs]
    if axes is None:
        axes = range(1, given[0].ndim - 1) if given else ()
    if given and any(not 0 <= a < given[0].ndim for a in axes):
        raise UserError(f"summarize: axes={tuple(axes)} for an input of {given[0].shape}")
    if axes:
        # Tracing itself takes time that grows with the number of positions.
        check_size(math.prod(given[0].shape))
    names: list[str] = []
    if isinstance(target, nn.Module):
        program, weights, first = _of_module(target, given, call, names)
        return _summary(program, names, weights, first, axes)

    def listed(params, *inputs):
        named = _named(target(*(() if params is None else (params,)), *inputs, **call))
        names.extend(name for name, _ in named)
        return [value for _, value in named]

    weights = len(jax.tree.leaves(params))
    return _summary(trace(listed, params, *given), names, weights, weights, axes)


def _of_module(module: nn.Module, inputs: list, call: dict, names: list[str]):
    """Return a model's program, how many of its inputs are parameters, and which is its image.

    The model is traced while it initializes its variables, and the initialization is cut off:
    applied to given variables, flax would trace the initialization of each once more.
    """
    if "train" in inspect.signature(type(module).__call__).parameters:
        call = {"train": False, **call}
    trees: list[Any] = []

    def keys():
        return {"params": jax.random.key(0), "dropout": jax.random.key(1)}

    def outcome(result, *kept):
        named = _named(result)
        names[:] = [name for name, _ in named]
        return [*kept, *(value for _, value in named)]

    def made(*inputs):
        result, variables = module.init_with_output(keys(), *inputs, **call)
        others = dict(variables)
        trees[:] = [
            jax.eval_shape(lambda x: x, tree) for tree in (others.pop("params", {}), others)
        ]
        return outcome(
            result, *jax.tree.leaves(variables.get("params", {})), *jax.tree.leaves(others)
        )

    def applied(params, others, *inputs):
        mutable = list(others) if others and call.get("train") else False
        variables = {"params": params, **others}
        result = module.apply(variables, *inputs, rngs=keys(), mutable=mutable, **call)
        return outcome(result[0] if mutable else result)

    program = trace(made, *inputs)
    weights, others = (len(jax.tree.leaves(tree)) for tree in trees)
    first = weights + others
    variables = program.outputs[:first]
    if any(isinstance(v, Literal) for v in variables) or len(set(variables)) < first:
        # A scalar that is constant while tracing is no variable of the program.
        return trace(applied, *trees, *inputs), weights, first
    cut = part(program, (*variables, *program.inputs), program.outputs[first:])
    return cut, weights, first


def _abstract(x: Any) -> jax.ShapeDtypeStruct:
    if isinstance(x, Iterable) and not hasattr(x, "dtype"):
        return jax.ShapeDtypeStruct(tuple(x), jnp.float32)
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


def _named(result: Any) -> list[tuple[str, Any]]:
    """Return endpoints in their order, then the output unless it is one of them."""
    endpoints: Mapping[str, Any] = {}
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):
        result, endpoints = result
    leaves = list(jax.tree_util.tree_leaves_with_path(dict(endpoints)))
    # jax sorts the keys of a dict; an endpoint may be a tree itself.
    order = {name: n for n, name in enumerate(endpoints)}
    leaves.sort(key=lambda leaf: order[leaf[0][0].key])
    named = [("/".join(_part(p) for p in path), value) for path, value in leaves]
    for path, value in jax.tree_util.tree_leaves_with_path(result):
        if not any(value is other for _, other in named):
            named.append(("/".join(["output", *(_part(p) for p in path)]), value))
    return named


def _part(entry: Any) -> str:
    return str(getattr(entry, "key", getattr(entry, "idx", getattr(entry, "name", entry))))


def _summary(program: Program, names: list[str], weights: int, first: int, axes) -> Summary:
    fields = _fields(program, first, axes)
    producers = program.producers()
    parameters = {v: v.aval.size for v in program.inputs[:weights]}
    seen: set[Any] = set()
    rows = []
    for name, value, field_of in zip(names, program.outputs, fields, strict=True):
        equations, used = _needed(value, producers, seen)
        rows.append(
            Row(
                name,
                value.aval.shape,
                sum(parameters.get(v, 0) for v in used),
                sum(map(equation_macs, equations)),
                sum(map(activations, equations)),
                field_of,
            )
        )
    last = rows[-1]
    total = Row(
        "total",
        last.shape,
        sum(parameters.values()),
        sum(row.macs for row in rows),
        sum(row.activations for row in rows),
        last.fields,
    )
    return Summary(tuple(rows), total)


def _fields(program: Program, first: int, axes) -> list[tuple[Field, ...]]:
    shape = program.inputs[first].aval.shape if axes else ()
    if axes:
        outputs = (v.aval.shape for e in program.equations for v in e.outputs)
        check_size(sum(output[axes[0]] for output in outputs if len(output) > axes[0] + 1))
    columns = []
    for axis in axes:
        start: list[Interval | None] = [None] * len(program.inputs)
        start[first] = input_interval(shape[axis], len(shape), axis)
        columns.append([field(r) for r in dependency_intervals(program, start, shape[axis])])
    return list(zip(*columns, strict=True)) if columns else [()] * len(program.outputs)


def _needed(value: Value, producers: dict, seen: set) -> tuple[list[Equation], list[Value]]:
    """Return the equations and inputs that `value` needs and that were not seen before."""
    equations, used, waiting = [], [], [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Literal) or value in seen:
            continue
        seen.add(value)
        equation = producers.get(value)
        if equation is None:
            used.append(value)
            continue
        if not any(v in seen for v in equation.outputs if v is not value):
            equations.append(equation)
        waiting.extend(equation.inputs)
    return equations, used
