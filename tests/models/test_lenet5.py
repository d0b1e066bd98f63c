"""LeNet-5 and its locally connected form: shapes, parameters, the forward pass in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError

IMAGES = jax.random.normal(jax.random.key(0), (2, 32, 32, 1))


def build(images=IMAGES, **kwargs):
    model = models.create("lenet5", **kwargs)
    return model, jax.jit(model.init)(jax.random.key(1), images)


def counts(params):
    return {name: sum(x.size for x in jax.tree.leaves(part)) for name, part in params.items()}


@pytest.mark.parametrize(("size", "padding"), [(32, 0), (28, 2)])
def test_61706_parameters_layer_by_layer(size, padding):
    _, variables = build(jnp.zeros((1, size, size, 1)), padding=padding)
    by_layer = counts(variables["params"])
    assert by_layer == {"c1": 156, "c3": 2416, "c5": 48120, "f6": 10164, "logits": 850}
    assert sum(by_layer.values()) == 61706


def test_batch_norm_takes_the_place_of_the_bias():
    _, variables = build(norm="batch")
    by_layer = counts(variables["params"])
    assert by_layer["c1"] == 150 and by_layer["c1_norm"] == 12
    assert by_layer["logits"] == 850


def test_stages_have_the_shapes_of_figure_2():
    model, variables = build()
    _, endpoints = model.apply(variables, IMAGES)
    assert {name: x.shape[1:] for name, x in endpoints.items()} == {
        "c1": (28, 28, 6),
        "s2": (14, 14, 6),
        "c3": (10, 10, 16),
        "s4": (5, 5, 16),
        "c5": (1, 1, 120),
        "f6": (84,),
        "features": (84,),
        "logits": (10,),
    }
    assert list(endpoints) == ["c1", "s2", "c3", "s4", "c5", "f6", "features", "logits"]


def correlate(x, kernel, bias):
    """VALID cross-correlation by the sum over window places."""
    k, _, _, filters = kernel.shape
    ho, wo = x.shape[1] - k + 1, x.shape[2] - k + 1
    y = np.zeros((x.shape[0], ho, wo, filters)) + bias
    for u, v in np.ndindex(k, k):
        y += x[:, u : u + ho, v : v + wo] @ kernel[u, v]
    return y


@pytest.mark.parametrize(
    ("activation", "pool", "act", "subsample"),
    [
        ("relu", "max", lambda x: np.maximum(x, 0), lambda t: t.max(axis=(2, 4))),
        ("tanh", "avg", lambda x: 1.7159 * np.tanh(2 * x / 3), lambda t: t.mean(axis=(2, 4))),
    ],
)
def test_forward_pass_equals_numpy(activation, pool, act, subsample):
    model, variables = build(activation=activation, pool=pool)
    # Biases of zero would not show whether they are added.
    params = jax.tree.map(lambda x: x + 0.01, variables["params"])
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

    def halve(x):
        b, h, w, c = x.shape
        return subsample(x.reshape(b, h // 2, 2, w // 2, 2, c))

    expected = {}
    x = np.asarray(IMAGES, np.float64)
    for conv, pooled in (("c1", "s2"), ("c3", "s4"), ("c5", None)):
        x = expected[conv] = act(correlate(x, **p[conv]))
        if pooled:
            x = expected[pooled] = halve(x)
    x = expected["f6"] = act(x.reshape(2, 120) @ p["f6"]["kernel"] + p["f6"]["bias"])
    expected["logits"] = x @ p["logits"]["kernel"] + p["logits"]["bias"]
    _, endpoints = model.apply({"params": params}, IMAGES)
    for name, value in expected.items():
        np.testing.assert_allclose(endpoints[name], value, rtol=1e-4, atol=1e-4, err_msg=name)


def test_padding_equals_zeros_around_the_image():
    small = IMAGES[:, :28, :28]
    model, variables = build(small, padding=2)
    around = jnp.pad(small, ((0, 0), (2, 2), (2, 2), (0, 0)))
    unpadded = model.clone(padding=0)
    np.testing.assert_allclose(
        model.apply(variables, small)[0], unpadded.apply(variables, around)[0], atol=1e-5
    )


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("tanh", 1.0)])
def test_initial_weights_have_the_variance_of_their_activation(activation, gain):
    _, variables = build(activation=activation)
    for name, fan_in in (("c5", 400), ("f6", 120), ("c3", 150)):
        variance = float(jnp.var(variables["params"][name]["kernel"]))
        assert variance == pytest.approx(gain / fan_in, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "kwargs", "message"),
    [
        ((1, 28, 28, 1), {}, "28x28 .* set padding=2"),
        ((1, 32, 8, 1), {}, "32x8"),
        ((1, 32, 32, 1), {"pool": "mean"}, "unknown pool of lenet5 'mean'"),
        ((1, 32, 32, 1), {"activation": "rely"}, "did you mean 'relu'"),
    ],
)
def test_what_cannot_work_is_named(shape, kwargs, message):
    with pytest.raises(UserError, match=message):
        build(jnp.zeros(shape), **kwargs)


ONE_IMAGE = (1, 32, 32, 1)
# Outputs of the layers with weights, in all three networks.
OUTPUTS = {"c1": 28 * 28 * 6, "c3": 10 * 10 * 16, "c5": 120, "f6": 84, "logits": 10}


def rows_of(name, **arguments):
    rows = summarize(models.create(name, **arguments), ONE_IMAGE).rows
    return {row.name: row for row in rows if row.parameters}


def test_locality_and_sharing_save_parameters_with_as_many_units():
    dense = rows_of("mlp", hidden=tuple(OUTPUTS.values())[:-1])
    local, shared = rows_of("locally_connected"), rows_of("lenet5")
    for network in (dense, local, shared):
        assert [np.prod(row.shape) for row in network.values()] == list(OUTPUTS.values())
    inputs = [32 * 32, *list(OUTPUTS.values())[:-1]]
    assert [row.parameters for row in dense.values()] == [
        (i + 1) * o for i, o in zip(inputs, OUTPUTS.values(), strict=True)
    ]
    # Each unit has its own window of 5x5 over the maps before it, or each filter.
    window = {"c1": 25 * 1, "c3": 25 * 6, "c5": 25 * 16, "f6": 120, "logits": 84}
    assert {name: row.parameters for name, row in local.items()} == {
        name: (window[name] + 1) * units for name, units in OUTPUTS.items()
    }
    places = {"c1": 28 * 28, "c3": 10 * 10, "c5": 1, "f6": 1, "logits": 1}
    assert {name: row.parameters for name, row in shared.items()} == {
        name: row.parameters / places[name] for name, row in local.items()
    }
    totals = [sum(row.parameters for row in net.values()) for net in (dense, local, shared)]
    assert totals == [12_552_734, 423_038, 61_706]
    # Sharing saves memory, not work.
    assert [row.macs for row in local.values()] == [row.macs for row in shared.values()]


@pytest.mark.parametrize(("activation", "pool"), [("relu", "max"), ("tanh", "avg")])
def test_with_the_same_kernel_everywhere_it_is_lenet5(activation, pool):
    rng = np.random.default_rng(0)
    arguments = dict(activation=activation, pool=pool, padding=2)
    local, shared = (models.create(n, **arguments) for n in ("locally_connected", "lenet5"))
    images = jnp.asarray(rng.normal(size=(2, 28, 28, 1)), jnp.float32)
    shapes = [jax.eval_shape(m.init, jax.random.key(0), images)["params"] for m in (local, shared)]
    params = jax.tree.map(lambda x: jnp.asarray(0.1 * rng.normal(size=x.shape), x.dtype), shapes[1])
    spread = jax.tree.map(lambda like, x: jnp.broadcast_to(x, like.shape), shapes[0], params)
    expected = jax.jit(shared.apply)({"params": params}, images)[1]
    found = jax.jit(local.apply)({"params": spread}, images)[1]
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("tanh", 1.0)])
def test_initial_weights_count_the_inputs_of_a_unit_not_the_places(activation, gain):
    model = models.create("locally_connected", activation=activation)
    # What is not asked for is not computed.
    kernel = jax.jit(lambda key: model.init(key, jnp.zeros(ONE_IMAGE))["params"]["c3"]["kernel"])
    assert jnp.var(kernel(jax.random.key(0))) == pytest.approx(gain / (25 * 6), rel=0.03)


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((1, 28, 28, 1), {"padding": 1}, "28x28 with padding=1 are too small, it needs 32x32"),
        (ONE_IMAGE, {"pool": "mean"}, "unknown pool of lenet5 'mean'"),
        (ONE_IMAGE, {"activation": "rely"}, "did you mean 'relu'"),
    ],
)
def test_what_cannot_work_locally_connected_is_named(shape, arguments, message):
    with pytest.raises(UserError, match=message):
        summarize(models.create("locally_connected", **arguments), shape)
