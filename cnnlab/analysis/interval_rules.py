"""How each primitive of JAX carries reaches from its operands to its results.

A rule takes the equation, a reach (or None) for each operand, of which one at least is not None,
and the `Scene`. What has no rule may depend on everything. Convolutions and matrix products are in
`reach_products`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnlab.analysis.interval_products import convolution, dot_general
from cnnlab.analysis.intervals import (
    Reach,
    Reaches,
    Scene,
    everything,
    joined,
    moved,
    reshaped,
    shape_of,
    shrunk,
    union,
    widened,
    windowed,
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


def elementwise(equation: Equation, reaches: Reaches, scene: Scene) -> Reach | None:
    """Every element depends on the elements in its place; scalars belong to all of them."""
    ndim = len(shape_of(equation.outputs[0]))
    return union([r if r is None or r.low.ndim == ndim else _scalar(r, ndim) for r in reaches])


def _scalar(reach: Reach, ndim: int) -> Reach:
    return Reach(reach.low.reshape((1,) * ndim), reach.high.reshape((1,) * ndim), None, reach.step)


def _one(rule: Callable[[Equation, Reach, Scene], Reach]):
    """Make a rule of one for a single operand; what else is given depends on nothing."""

    def apply(equation: Equation, reaches: Reaches, scene: Scene) -> Reach | None:
        return None if reaches[0] is None else rule(equation, reaches[0], scene)

    return apply


def _broadcast_in_dim(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    shape, places = equation.params["shape"], equation.params["broadcast_dimensions"]
    old: list[int | None] = [None] * len(shape)
    new = [1] * len(shape)
    for source, target in enumerate(places):
        # An axis of length 1 that is repeated is no longer where the position moves.
        old[target] = source if shape_of(equation.inputs[0])[source] == shape[target] else None
    low, high = np.broadcast_arrays(reach.low, reach.high)
    for source, target in enumerate(places):
        new[target] = low.shape[source]
    return moved(reach, low.reshape(new), high.reshape(new), old)


def _reshape(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    return reshaped(reach, shape_of(equation.inputs[0]), shape_of(equation.outputs[0]))


def _transpose(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    order = equation.params["permutation"]
    return moved(reach, reach.low.transpose(order), reach.high.transpose(order), order)


def _reverse(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    dims = equation.params["dimensions"]
    step = -reach.step if reach.dim in dims else reach.step
    return Reach(np.flip(reach.low, dims), np.flip(reach.high, dims), reach.dim, step)


def _slice(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    shape, p = shape_of(equation.inputs[0]), equation.params
    strides = p["strides"] or (1,) * len(shape)
    for axis, (start, stop, stride) in enumerate(
        zip(p["start_indices"], p["limit_indices"], strides, strict=True)
    ):
        size = shape[axis]
        if (start, stop, stride) != (0, size, 1):
            reach = windowed(reach, axis, size, stride=stride, pad=(-int(start), int(stop) - size))
    return reach


def _pad(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    shape = shape_of(equation.inputs[0])
    for axis, config in enumerate(equation.params["padding_config"]):
        low, high, interior = map(int, config)
        if (low, high, interior) != (0, 0, 0):
            reach = windowed(reach, axis, shape[axis], spread=interior + 1, pad=(low, high))
    return reach


def _concatenate(equation: Equation, reaches: Reaches, scene: Scene) -> Reach | None:
    axis = int(equation.params["dimension"])
    return joined(reaches, axis, [shape_of(v)[axis] for v in equation.inputs])


def _stack(equation: Equation, reaches: Reaches, scene: Scene) -> Reach | None:
    axis = int(equation.params["axis"])

    def lifted(reach: Reach | None) -> Reach | None:
        if reach is None:
            return None
        kept: list[int | None] = list(range(reach.low.ndim))
        kept.insert(axis, None)
        low, high = (np.expand_dims(ends, axis) for ends in (reach.low, reach.high))
        return moved(reach, low, high, kept)

    return joined([lifted(r) for r in reaches], axis, [1] * len(reaches))


def _unstack(equation: Equation, reaches: Reaches, scene: Scene) -> list[Reach | None]:
    (reach,) = (r for r in reaches if r is not None)
    axis = int(equation.params["axis"])
    kept = [d for d in range(reach.low.ndim) if d != axis]

    def one(n: int) -> Reach:
        low, high = (e.take(min(n, e.shape[axis] - 1), axis) for e in (reach.low, reach.high))
        return moved(reach, low, high, kept)

    return [one(n) for n in range(len(equation.outputs))]


def _tile(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    shape = shape_of(equation.inputs[0])
    for axis, times in enumerate(equation.params["reps"]):
        if times > 1:
            tiled = joined([reach] * times, axis, [shape[axis]] * times)
            assert tiled is not None
            reach = tiled
    return reach


def _split(equation: Equation, reaches: Reaches, scene: Scene) -> list[Reach | None]:
    (reach,) = (r for r in reaches if r is not None)
    axis, start = int(equation.params["axis"]), 0
    parts: list[Reach | None] = []
    size = shape_of(equation.inputs[0])[axis]
    for length in map(int, equation.params["sizes"]):
        parts.append(windowed(reach, axis, size, pad=(-start, start + length - size)))
        start += length
    return parts


def _reduce(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    axes = equation.params["axes"]
    reach = widened(reach, axes, scene.size)
    kept = [d for d in range(reach.low.ndim) if d not in axes]
    return moved(reach, reach.low.squeeze(axes), reach.high.squeeze(axes), kept)


def _squeeze(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    axes = equation.params["dimensions"]
    kept = [d for d in range(reach.low.ndim) if d not in axes]
    return moved(reach, reach.low.squeeze(axes), reach.high.squeeze(axes), kept)


def _cumulative(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    axis, backwards = equation.params["axis"], equation.params.get("reverse", False)

    def running(ends, fold):
        ends = np.flip(ends, axis) if backwards else ends
        ends = fold.accumulate(ends, axis)
        return np.flip(ends, axis) if backwards else ends

    low, high = running(reach.low, np.minimum), running(reach.high, np.maximum)
    return Reach(low, high, reach.dim, reach.step)


def _sort(equation: Equation, reaches: Reaches, scene: Scene) -> list[Reach | None]:
    both = union(reaches)
    if both is not None:
        both = widened(both, (equation.params["dimension"],), scene.size)
    return [both] * len(equation.outputs)


def _top_k(equation: Equation, reaches: Reaches, scene: Scene) -> list[Reach | None]:
    reach = reaches[0]
    if reach is not None:
        reach = widened(reach, (reach.low.ndim - 1,), scene.size)
    return [reach] * 2


def _reduce_window(equation: Equation, reach: Reach, scene: Scene) -> Reach:
    p, shape = equation.params, shape_of(equation.inputs[0])
    for axis, taps in enumerate(p["window_dimensions"]):
        reach = windowed(
            reach,
            axis,
            shape[axis],
            taps=taps,
            stride=p["window_strides"][axis],
            dilation=p["window_dilation"][axis],
            spread=p["base_dilation"][axis],
            pad=p["padding"][axis],
        )
    return shrunk(reach)


def _moved_by_known(equation: Equation, reaches: Reaches, scene: Scene) -> Reach | None:
    """Gather and slice at places that are known: the intervals themselves are moved so."""
    operand, *places = equation.inputs
    indices = [scene.known(v) for v in places]
    if reaches[0] is None or any(i is None for i in indices):
        return _anything(equation, reaches, scene)
    params: dict[str, Any] = dict(equation.params)
    ends = []
    for array, nothing in ((reaches[0].low, np.inf), (reaches[0].high, -np.inf)):
        full = np.broadcast_to(array, shape_of(operand)).astype(np.float32)
        taken = np.asarray(equation.primitive.bind(full, *indices, **params), float)
        ends.append(np.where(np.isnan(taken), nothing, taken))
    shape = shape_of(equation.outputs[0])
    dim = reaches[0].dim if len(shape) == len(shape_of(operand)) else None
    step = reaches[0].step
    if dim is not None and shape[dim] > 1:
        step *= shape_of(operand)[dim] / shape[dim] if equation.name == "gather" else 1
    return shrunk(Reach(ends[0], ends[1], dim, step))


def _anything(equation: Equation, reaches: Reaches, scene: Scene) -> Reach | None:
    """Every element may depend on all that any element of any operand depends on."""
    ndim = len(shape_of(equation.outputs[0]))
    found = [widened(r, range(r.low.ndim), scene.size) for r in reaches if r is not None]
    return union([_scalar(r, ndim) for r in found])


def _barrier(equation: Equation, reaches: Reaches, scene: Scene) -> list[Reach | None]:
    return list(reaches)


def unknown(equation: Equation, reaches: Reaches, scene: Scene) -> list[Reach | None]:
    """Return everything for every result."""
    return [everything(len(shape_of(v))) for v in equation.outputs]


RULES: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _one(_broadcast_in_dim),
    "reshape": _one(_reshape),
    "transpose": _one(_transpose),
    "rev": _one(_reverse),
    "slice": _one(_slice),
    "pad": _one(_pad),
    "squeeze": _one(_squeeze),
    "concatenate": _concatenate,
    "stack": _stack,
    "unstack": _unstack,
    "tile": _one(_tile),
    "split": _split,
    "sort": _sort,
    "top_k": _top_k,
    "conv_general_dilated": convolution,
    "dot_general": dot_general,
    "gather": _moved_by_known,
    "dynamic_slice": _moved_by_known,
    **{f"scatter{kind}": _anything for kind in ("", "-add", "-sub", "-mul", "-min", "-max")},
    "dynamic_update_slice": _anything,
    "optimization_barrier": _barrier,
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **{
        f"reduce_{name}": _one(_reduce)
        for name in ("sum", "max", "min", "prod", "and", "or", "xor")
    },
    "argmax": _one(_reduce),
    "argmin": _one(_reduce),
    **{f"cum{name}": _one(_cumulative) for name in ("sum", "prod", "max", "min", "logsumexp")},
    **{f"reduce_window_{name}": _one(_reduce_window) for name in ("sum", "max", "min")},
    "reduce_window": _one(_reduce_window),
}
