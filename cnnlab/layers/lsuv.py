"""Layer-sequential unit-variance (LSUV) initialization of any model from one batch.

Mishkin & Matas 2016, All you need is a good init, algorithm 1. Every kernel starts orthonormal
(Saxe et al. 2014); then layer by layer, in the order in which the model executes them,

    while |Var(output) - 1| >= tolerance:  kernel <- kernel / sqrt(Var(output))

on one batch, so that a layer is scaled for the signals that the scaled layers before it send.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, PyTree

from cnnlab.errors import UserError
from cnnlab.layers.initializers import orthonormal

Path = tuple[str, ...]
MEASURED = "lsuv"


class Scaled(NamedTuple):
    """Scaling of one layer.

    Attributes:
        name: its path in the model, with slashes.
        before: variance of its output with the starting kernel, behind scaled layers.
        after: variance at the end.
        iterations: how often the kernel was divided.
    """

    name: str
    before: float
    after: float
    iterations: int


def lsuv(
    model: nn.Module,
    variables: Mapping[str, PyTree],
    batch: Any,
    *,
    key: Array,
    tolerance: float = 0.1,
    max_iterations: int = 10,
    orthonormal_start: bool = True,
    skip_last: bool = False,
    call: Mapping[str, Any] | None = None,
) -> tuple[dict[str, PyTree], list[Scaled]]:
    """Return the variables with kernels scaled to outputs of variance 1, and a row a layer.

    A layer is a submodule with a parameter `kernel`: Conv, Dense, ConvTranspose and their like,
    of flax or of this library. Its output is what it returns, before norm and activation. One
    that is executed several times is scaled when it first is. Other variables stay as they are.

    Args:
        model: any linen module.
        variables: as `model.init` returns them.
        batch: the input, or a tuple of the inputs, of the model; enough to estimate a variance.
        key: for the orthonormal start, and for the rngs of the call.
        tolerance: distance from 1 that is near enough.
        max_iterations: divisions of a kernel before the next layer is scaled.
        orthonormal_start: begin with orthonormal kernels; without, with those of `variables`.
        skip_last: leave the layer that is executed last alone (logits).
        call: keyword arguments of the model's call.

    Raises:
        UserError: for a model without kernels, a layer in a lifted scan or vmap (whose kernels are
            several), or one whose output does not vary.
    """
    inputs = batch if isinstance(batch, tuple) else (batch,)
    start_key, call_key = jax.random.split(key)
    order: list[Path] = []

    @jax.jit
    def measure(variables):
        return _variances(model, variables, inputs, call_key, call or {}, order)

    measured = jax.eval_shape(measure, dict(variables))
    layers = list(dict.fromkeys(order))[: -1 if skip_last else None]
    if not layers:
        raise UserError("lsuv: the model has no layer with a kernel to scale")
    hidden = ["/".join(layer) for layer in layers if "/".join(layer) not in measured]
    if hidden:
        raise UserError(f"lsuv: {', '.join(hidden)} cannot be measured in a lifted scan or vmap")
    params = flatten_dict(dict(variables)["params"])
    if orthonormal_start:
        kernels = {layer: params[(*layer, "kernel")] for layer in layers}
        for layer, kernel in _orthonormal(start_key, kernels).items():
            params[(*layer, "kernel")] = kernel

    def put_together():
        return {**variables, "params": unflatten_dict(params)}

    report = []
    for layer in layers:
        name, iterations = "/".join(layer), 0
        before = variance = _positive(measure(put_together())[name], name)
        while abs(variance - 1) >= tolerance and iterations < max_iterations:
            params[(*layer, "kernel")] /= jnp.sqrt(variance)
            iterations += 1
            variance = _positive(measure(put_together())[name], name)
        report.append(Scaled(name, before, variance, iterations))
    return put_together(), report


def _orthonormal(key: Array, kernels: dict[Path, Array]) -> dict[Path, Array]:
    """Return an orthonormal kernel for each, from one program for all."""

    @jax.jit
    def start(keys):
        shaped = zip(keys, kernels.values(), strict=True)
        return [orthonormal(key, kernel.shape, kernel.dtype) for key, kernel in shaped]

    keys = list(jax.random.split(key, len(kernels)))
    return dict(zip(kernels, start(keys), strict=True))


def _variances(model, variables, inputs, key, call, order: list[Path]) -> dict[str, Array]:
    """Return the variance of each layer's first output by name; note their order as they run."""

    def observe(run, args, kwargs, context):
        y = run(*args, **kwargs)
        module = context.module
        if context.method_name == "__call__" and module.has_variable("params", "kernel"):
            order.append(module.path)
            wide = y.astype(jnp.promote_types(y.dtype, jnp.float32))
            # Sown and not kept in a list: a value may be inside a remat or a scan.
            module.sow(MEASURED, "variance", jnp.var(wide))
        return y

    with nn.intercept_methods(observe):
        _, state = model.apply(
            variables, *inputs, **call, mutable=True, rngs={"dropout": key, "params": key}
        )
    measured = flatten_dict(state.get(MEASURED, {}))
    return {"/".join(path[:-1]): jnp.ravel(values[0])[0] for path, values in measured.items()}


def _positive(variance: Array, name: str) -> float:
    value = float(variance)
    if not 0 < value < float("inf"):
        raise UserError(
            f"lsuv: the output of '{name}' has variance {value} on this batch, which no scale "
            "makes 1: use a batch that varies, and nonlinearities that are not all off"
        )
    return value
