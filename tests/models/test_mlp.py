"""The multilayer perceptron: parameters by formula, the forward pass in numpy."""

import jax
import numpy as np
import pytest

from cnnlab import models
from cnnlab.errors import UserError

IMAGES = jax.random.normal(jax.random.key(0), (3, 4, 5, 2))


def build(**kwargs):
    model = models.create("mlp", **kwargs)
    return model, jax.jit(model.init)(jax.random.key(1), IMAGES)


def test_parameters_are_inputs_plus_one_times_outputs():
    _, variables = build(hidden=(7, 6), num_classes=3)
    counts = {
        name: sum(x.size for x in jax.tree.leaves(p)) for name, p in variables["params"].items()
    }
    assert counts == {"hidden1": 41 * 7, "hidden2": 8 * 6, "logits": 7 * 3}


@pytest.mark.parametrize(
    ("activation", "act"), [("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)]
)
def test_forward_pass_equals_numpy(activation, act):
    model, variables = build(hidden=(7, 6), activation=activation)
    params = jax.tree.map(lambda x: x + 0.01, variables["params"])
    _, endpoints = model.apply({"params": params}, IMAGES)
    assert list(endpoints) == ["hidden1", "hidden2", "features", "logits"]
    x = np.asarray(IMAGES).reshape(3, 40)
    for name in ("hidden1", "hidden2", "logits"):
        x = x @ params[name]["kernel"] + params[name]["bias"]
        x = x if name == "logits" else act(x)
        np.testing.assert_allclose(endpoints[name], x, rtol=1e-4, atol=1e-5, err_msg=name)


def test_batch_norm_in_training_gives_each_unit_mean_zero_and_variance_one():
    model, variables = build(hidden=(7,), norm="batch", activation="tanh")
    (_, endpoints), _ = model.apply(variables, IMAGES, train=True, mutable=["batch_stats"])
    before = np.arctanh(np.asarray(endpoints["hidden1"], np.float64))
    np.testing.assert_allclose(before.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(before.var(axis=0), 1, atol=1e-3)


def test_no_hidden_layer_is_a_linear_classifier():
    model, variables = build(hidden=())
    output, endpoints = model.apply(variables, IMAGES)
    np.testing.assert_array_equal(endpoints["features"], IMAGES.reshape(3, 40))
    doubled, _ = model.apply(variables, 2 * IMAGES)
    np.testing.assert_allclose(doubled, 2 * output, rtol=1e-5, atol=1e-6)


def test_an_unknown_activation_is_named():
    with pytest.raises(UserError, match="did you mean 'tanh'"):
        build(activation="tan")
