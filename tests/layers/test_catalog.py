"""Every layer of the table under jit, vmap, gradients, float64, bfloat16 and on 8 devices."""

import os
import re
import sys
from functools import cache
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from cnnlab.analysis import listings
from cnnlab.analysis.tables import json_text
from cnnlab.layers.catalog import LAYERS, describe

YEAR = r"\b(19|20)\d\d\b"
every_layer = pytest.mark.parametrize("name", LAYERS)


@cache
def built(name):
    """Return module, variables and inputs of a layer; parameters are nowhere exactly zero."""
    row = LAYERS[name]
    module, inputs = row.module(), row.inputs(jax.random.key(1))
    variables = jax.jit(lambda *x: module.init(jax.random.key(0), *x, **row.call))(*inputs)
    params = variables.pop("params", {}) if isinstance(variables, dict) else {}
    keys = iter(jax.random.split(jax.random.key(2), 100))
    params = jax.tree.map(lambda p: p + 0.1 * jax.random.normal(next(keys), p.shape), params)
    return module, params, variables, inputs


def applied(name, module=None, state=None):
    """Return a function of parameters and inputs that gives a list of arrays."""
    row = LAYERS[name]
    own, _, variables, _ = built(name)
    module, state = module or own, variables if state is None else state

    def apply(params, *inputs):
        mutable = list(state) if row.joint else False
        out = module.apply({"params": params, **state}, *inputs, mutable=mutable, **row.call)
        return jax.tree.leaves(out[0] if mutable else out)

    return apply


@cache
def compiled(name):
    """Return the layer as one program, shared by the tests."""
    return jax.jit(applied(name))


def close(found, expected, scale=1e-5):
    for a, b in zip(found, expected, strict=True):
        size = max(1.0, float(np.abs(np.asarray(b, np.float64)).max(initial=0)))
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), atol=scale * size
        )


def floating(x):
    return jnp.issubdtype(x.dtype, jnp.floating)


def cast(tree, dtype):
    return jax.tree.map(lambda x: x.astype(dtype) if floating(x) else x, tree)


@every_layer
def test_worked_example(name):
    computed, expected = LAYERS[name].example()
    np.testing.assert_allclose(np.asarray(computed), np.asarray(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@every_layer
def test_jit_is_eager(name):
    _, params, _, inputs = built(name)
    apply = applied(name)
    close(compiled(name)(params, *inputs), apply(params, *inputs))


@every_layer
@pytest.mark.sample(20)
def test_vmap_is_one_by_one(name):
    _, params, _, inputs = built(name)
    apply = applied(name)
    other = tuple(jnp.flip(x, 0) if floating(x) else x for x in inputs)
    both = tuple(jnp.stack(pair) for pair in zip(inputs, other, strict=True))
    together = jax.jit(jax.vmap(apply, in_axes=(None, *(0 for _ in inputs))))(params, *both)
    run = compiled(name)
    for n, alone in enumerate((inputs, other)):
        close([x[n] for x in together], run(params, *alone))


def directional(name):
    """Return, in float64, a scalar function of t: the layer along a random line."""
    _, params, state, inputs = built(name)
    params, state, inputs = jax.tree.map(
        lambda x: jnp.asarray(np.asarray(x, np.float64)) if floating(x) else x,
        (params, state, inputs),
    )
    apply = applied(name, state=state)
    leaves, tree = jax.tree.flatten((params, inputs))
    rng = np.random.default_rng(0)
    steps = [rng.normal(size=x.shape) if floating(x) else None for x in leaves]
    shapes = jax.eval_shape(apply, params, *inputs)
    weights = [rng.normal(size=y.shape) for y in shapes]

    def along(t):
        moved = [x if d is None else x + t * d for x, d in zip(leaves, steps, strict=True)]
        params, inputs = jax.tree.unflatten(tree, moved)
        out = apply(params, *inputs)
        return sum(jnp.sum(w * y) for w, y in zip(weights, out, strict=True) if floating(y))

    return along, shapes


@every_layer
def test_gradient_and_its_gradient_are_finite_differences(name):
    built(name)  # in float32, for the other tests too
    with jax.enable_x64(True):
        along, shapes = directional(name)
        assert all(y.dtype == jnp.float64 for y in shapes if floating(y))
        slope = jax.grad(along)
        orders = jax.jit(lambda t: (along(t), slope(t), jax.grad(slope)(t)))
        h = 2e-5
        points = {n: orders(n * h) for n in (-2, -1, 0, 1, 2)}
        for order in (0, 1):
            far, near = (points[n][order] - points[-n][order] for n in (2, 1))
            # Five points: exact for polynomials up to the fourth power, as products of layers are.
            difference = (8 * near - far) / (12 * h)
            np.testing.assert_allclose(points[0][order + 1], difference, rtol=1e-6, atol=1e-6)


@every_layer
@pytest.mark.sample(20)
def test_bfloat16_is_near(name):
    module, params, _, inputs = built(name)
    half = module.clone(dtype=jnp.bfloat16) if hasattr(module, "dtype") else module
    # Rounded in both, so that rounding does not decide which of two near values is the larger.
    inputs = cast(inputs, jnp.bfloat16)
    expected = compiled(name)(params, *cast(inputs, jnp.float32))
    found = jax.jit(applied(name, half))(params, *inputs)
    assert all(y.dtype == jnp.bfloat16 for y in found if floating(y))
    close(found, expected, scale=0.04)


@every_layer
@pytest.mark.sample(13)
def test_eight_devices_give_the_same(name):
    _, params, _, inputs = built(name)
    sharding = NamedSharding(Mesh(np.array(jax.devices()), ("batch",)), P("batch"))
    assert len(jax.devices()) == 8
    run = compiled(name)
    placed = jax.device_put(inputs, sharding)
    close(run(params, *placed), run(params, *inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if not layer.joint])
def test_pmap_gives_the_same(name):
    _, params, _, inputs = built(name)
    mapped = jax.pmap(applied(name), in_axes=(None, *(0 for _ in inputs)))
    apart = mapped(params, *(x.reshape(8, 1, *x.shape[1:]) for x in inputs))
    close([y.reshape(-1, *y.shape[2:]) for y in apart], compiled(name)(params, *inputs))


@every_layer
def test_row_and_module_name_a_paper(name):
    row = LAYERS[name]
    module = type(row.module())
    assert re.search(YEAR, row.paper)
    if not module.__module__.startswith("flax"):
        assert re.search(YEAR, f"{sys.modules[module.__module__].__doc__} {module.__doc__}")


def test_table_has_every_layer_of_the_lecture():
    families = """
        conv conv1d conv3d conv_dilated conv_grouped conv_im2col depthwise separable transposed
        locally_connected light_conv dynamic_conv max_pool avg_pool subsampling unpool batch_norm
        local_response_norm layer_norm group_norm dropout conv_lstm graph_conv attention
        multi_head_attention non_local relu scaled_tanh
    """
    assert [family for family in families.split() if family not in LAYERS] == []
    assert all(isinstance(row.module(), nn.Module) for row in LAYERS.values())


def test_the_list_of_layers_is_on_file():
    found = [describe.entry(name, layer) for name, layer in LAYERS.items()]
    if os.environ.get("REWRITE_SUMMARIES"):
        path = Path(listings.__file__).with_name("layers.json")
        path.write_text(json_text(found) + "\n")
    assert list(listings.layers().values()) == found, (
        "if this is meant: REWRITE_SUMMARIES=1 python -m pytest tests/layers/test_table.py"
    )
