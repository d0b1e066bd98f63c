"""LeNet-5: the paper's shapes, the known count of parameters, the forward pass in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
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
