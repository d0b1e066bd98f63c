"""Initial values without compiling the program that defines them.

XLA compiles every random normal of a model anew: ten seconds for a ResNet on one core. Here the
function is traced, what its result does not depend on (the forward pass) is left out, and the rest
is evaluated operation by operation. Random numbers come in blocks from one program for all shapes:
threefry makes element i from the key and i alone, so that they are, bit for bit, those of the
compiled function, whatever the devices.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import random as random_lib
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr
from jaxtyping import PyTree

from cnnlab.analysis.jaxpr import Equation, Program, flatten, programs_of
from cnnlab.analysis.macs import PRODUCTS
from cnnlab.utils import memory

# Elements of a block: few enough for the cache of a core, where they take half the time.
BLOCK = 1 << 15


def _bits(data, width: int, shape: tuple[int, ...]):
    """Return bits of the elements from data[2] on, under the threefry key data[:2]."""
    low = data[2] + jax.lax.iota(np.uint32, shape[0])
    bits = random_lib.threefry2x32_p.bind(data[0], data[1], jnp.zeros_like(low), low)
    return jax.lax.convert_element_type(bits[0] ^ bits[1], f"uint{width}")


def _unused(*_: Any) -> Any:
    raise NotImplementedError


# Keys of threefry with the first element to draw.
PART = random_lib.define_prng_impl(
    key_shape=(3,),
    seed=_unused,
    split=_unused,
    fold_in=_unused,
    random_bits=_bits,
    name="threefry2x32_part",
    tag="part",
)

# What draws a block, by the name under which jax.random compiles it.
SAMPLERS: dict[str, Callable[..., Any]] = {
    "_normal": lambda key, dtype: jax.random.normal(key, (BLOCK,), dtype),
    "_uniform": lambda key, dtype, low, high: jax.random.uniform(key, (BLOCK,), dtype, low, high),
    "_truncated_normal": lambda key, dtype, low, high: jax.random.truncated_normal(
        key, low, high, (BLOCK,), dtype
    ),
}

Factors = tuple[tuple[str, float], ...]


@partial(jax.jit, static_argnames=("name", "dtype", "constants", "then"))
def _block(name: str, dtype: Any, constants: tuple[float, ...], then: Factors, key, start, bounds):
    part = jnp.append(jax.random.key_data(key), start)
    x = SAMPLERS[name](jax.random.wrap_key_data(part, impl=PART), dtype, *constants, *bounds)
    for operation, constant in then:
        x = (jnp.multiply if operation == "mul" else jnp.add)(x, jnp.asarray(constant, dtype))
    return x


@dataclasses.dataclass(frozen=True)
class _Draw:
    """Random numbers, and the constants that they are multiplied with and that are added."""

    name: str
    aval: Any
    key: Any
    bounds: tuple[float, ...]
    then: Factors = ()

    @cached_property
    def value(self) -> np.ndarray:
        # XLA computes erf of constant bounds otherwise. Those of uniform weights, of which there
        # are many, only enter a product and a sum.
        constants, bounds = self.bounds, ()
        if self.name == "_uniform":
            constants, bounds = bounds, constants
        drawn = np.empty(math.prod(self.aval.shape), self.aval.dtype)
        for start in range(0, drawn.size, BLOCK):
            block = _block(
                self.name, self.aval.dtype, constants, self.then, self.key, np.uint32(start), bounds
            )
            drawn[start : start + BLOCK] = np.asarray(block)[: drawn.size - start]
        return drawn.reshape(self.aval.shape)


def _drawn_in_blocks(eqn: Any) -> bool:
    separable = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    if not separable or eqn.params.get("name") not in SAMPLERS:
        return False
    (key, *bounds), (drawn,) = eqn.invars, eqn.outvars
    return (
        key.aval.shape == ()
        and key.aval.dtype == jax.random.key(0, impl="threefry2x32").dtype
        and all(isinstance(bound, Literal) for bound in bounds)
        and drawn.aval.dtype.itemsize <= 4
        and drawn.aval.size < 1 << 32
    )


def _broadcast(x, *, shape, broadcast_dimensions, sharding):
    del sharding
    expanded = np.ones(len(shape), int)
    expanded[list(broadcast_dimensions)] = np.shape(x)
    return np.broadcast_to(np.reshape(x, expanded), shape)


# Operations that round as XLA's do, whatever XLA compiles them with.
ON_HOST: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "div": np.divide,
    "mul": lambda x, y, **_: np.multiply(x, y),
    "sqrt": lambda x, **_: np.sqrt(x),
}
# A value that depends on other operations: on one that rounds by what XLA compiles it with.
UNKNOWN = object()


def _evaluate(jaxpr: Any, values: list[Any]) -> list[Any]:
    known = dict(zip(jaxpr.invars, values, strict=True))

    def read(atom: Any) -> Any:
        if not isinstance(atom, Literal):
            return known[atom]
        aval: Any = atom.aval
        return np.asarray(atom.val, aval.dtype)

    def drawn(x):
        return x.value if isinstance(x, _Draw) else x

    for eqn in jaxpr.eqns:
        inputs, name = [read(atom) for atom in eqn.invars], eqn.primitive.name
        random = [x for x in inputs if isinstance(x, _Draw)]
        if any(x is UNKNOWN for x in inputs):
            results = [UNKNOWN] * len(eqn.outvars)
        elif _drawn_in_blocks(eqn):
            bounds = tuple(float(bound) for bound in inputs[1:])
            results = [_Draw(eqn.params["name"], eqn.outvars[0].aval, inputs[0], bounds)]
        elif name == "checkpoint":
            results = _evaluate(eqn.params["jaxpr"], inputs)
        elif name == "copy":
            results = inputs
        elif name in ("mul", "add") and random and random[0].name == "_normal":
            # XLA makes one constant of two factors, or one operation of a product and a sum.
            other = next((x for x in inputs if not isinstance(x, _Draw)), None)
            results = [_scaled(random[0], other, name)]
        elif name in ON_HOST and not any(isinstance(x, jax.Array) for x in inputs):
            results = [ON_HOST[name](*map(drawn, inputs), **eqn.params)]
        elif random or any(_rounds(v) for v in eqn.outvars):
            results = [UNKNOWN] * len(eqn.outvars)
        else:
            results = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
            results = results if eqn.primitive.multiple_results else [results]
        known.update(zip(eqn.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _rounds(variable: Any) -> bool:
    return jnp.issubdtype(variable.aval.dtype, jnp.inexact)


def _scaled(draw: _Draw, constant: Any, operation: str) -> Any:
    if isinstance(constant, np.ndarray) and constant.ndim == 0:
        return dataclasses.replace(draw, then=(*draw.then, (operation, float(constant))))
    return UNKNOWN


def _bytes(x: Any) -> int:
    return math.prod(x.shape) * getattr(x.dtype, "itemsize", 8)


def _products(program: Program) -> Iterator[Equation]:
    """Yield the convolutions and matrix products of a program and of those inside it."""
    for equation in program.equations:
        if equation.name in PRODUCTS:
            yield equation
        for inner in programs_of(equation):
            yield from _products(inner)


def _needed(jaxpr: Any, values: list[Any], outputs: list[bool]) -> tuple[Any, list[Any]]:
    """Return what of a program some of its outputs need, and of its inputs."""
    jaxpr, used = dce_jaxpr(jaxpr, outputs)
    return jaxpr, [x for x, use in zip(values, used, strict=True) if use]


def trace(function: Callable[..., PyTree], *args: PyTree) -> tuple[PyTree, Callable[[], PyTree]]:
    """Return the shapes of `function(*args)`, and a function that returns its value.

    The value's leaves are arrays of the host or of one device, some of them read-only or of the
    same memory: `Parallel.place_state` copies.

    Raises:
        UserError: if the value, or what a layer puts out on the way, needs more memory than there
            is.
    """
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
    memory.check(sum(map(_bytes, jax.tree.leaves(shapes))), "the parameters and their state")
    products = [_bytes(v.aval) for e in _products(flatten(traced)) for v in e.outputs]
    memory.check(max(products, default=0), "the output of a layer, for one example,")

    def value() -> PyTree:
        jaxpr = traced.jaxpr
        jaxpr = jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars])
        inputs = [*traced.consts, *jax.tree.leaves(args)]
        leaves = _evaluate(*_needed(jaxpr, inputs, [True] * len(jaxpr.outvars)))
        unknown = [leaf is UNKNOWN for leaf in leaves]
        rest, inputs = _needed(jaxpr, inputs, unknown)
        compiled = iter(
            jax.jit(jaxpr_as_fun(ClosedJaxpr(rest, ())))(*inputs) if any(unknown) else ()
        )
        leaves = [next(compiled) if leaf is UNKNOWN else leaf for leaf in leaves]
        leaves = [leaf.value if isinstance(leaf, _Draw) else leaf for leaf in leaves]
        return jax.tree.unflatten(jax.tree.structure(shapes), leaves)

    return shapes, value
