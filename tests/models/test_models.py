"""Every model through the same matrix: what the contract of `cnnlab.models` promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.errors import UserError

IMAGES = jax.random.normal(jax.random.key(0), (4, 32, 32, 1))
SMALL = {"mlp": {"hidden": (16, 8)}}
NAMES = models.available()


def build(name, **kwargs):
    model = models.create(name, **SMALL.get(name, {}), **kwargs)
    return model, jax.jit(model.init)(jax.random.key(1), IMAGES)


@pytest.mark.parametrize("name", NAMES)
def test_endpoints_come_in_order_and_end_with_what_the_classifier_sees(name):
    model, variables = build(name)
    output, endpoints = jax.jit(model.apply)(variables, IMAGES)
    names = list(endpoints)
    assert names[-2:] == ["features", "logits"]
    assert names == list(model.apply(variables, IMAGES)[1])
    np.testing.assert_array_equal(output, endpoints["logits"])
    kernel, bias = (variables["params"]["logits"][part] for part in ("kernel", "bias"))
    np.testing.assert_allclose(output, endpoints["features"] @ kernel + bias, atol=1e-5)
    # Whatever has parameters is a stage by that name, or a stage's norm.
    assert {module.removesuffix("_norm") for module in variables["params"]} <= set(names)


@pytest.mark.parametrize("name", NAMES)
def test_no_classes_means_features_alone(name):
    model, variables = build(name, num_classes=0)
    output, endpoints = model.apply(variables, IMAGES)
    assert list(endpoints)[-1] == "features" and "logits" not in variables["params"]
    np.testing.assert_array_equal(output, endpoints["features"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", ["", "batch"])
def test_every_parameter_receives_a_gradient(name, norm):
    model, variables = build(name, norm=norm)
    params = variables.pop("params")

    def loss(params):
        (output, _), _ = model.apply(
            {"params": params, **variables}, IMAGES, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(jnp.sin(output) ** 2)

    for path, gradient in jax.tree.leaves_with_path(jax.jit(jax.grad(loss))(params)):
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), path


@pytest.mark.parametrize("name", NAMES)
def test_compiled_and_plain_runs_agree(name):
    model, variables = build(name, norm="batch")
    compiled, _ = jax.jit(model.apply)(variables, IMAGES)
    np.testing.assert_allclose(compiled, model.apply(variables, IMAGES)[0], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_computes_near_float32_with_float32_parameters_and_logits(name):
    model, variables = build(name, norm="batch")
    half = models.create(name, **SMALL.get(name, {}), norm="batch", dtype="bfloat16")
    half_variables = jax.jit(half.init)(jax.random.key(1), IMAGES)
    jax.tree.map(np.testing.assert_array_equal, variables, half_variables)
    assert {leaf.dtype for leaf in jax.tree.leaves(half_variables)} == {jnp.dtype("float32")}
    output, endpoints = jax.jit(half.apply)(variables, IMAGES)
    assert output.dtype == jnp.float32
    assert endpoints["features"].dtype == jnp.bfloat16
    # Eight bits of mantissa, through a few layers.
    expected, _ = jax.jit(model.apply)(variables, IMAGES)
    np.testing.assert_allclose(output, expected, atol=0.04 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("name", NAMES)
def test_dropout_acts_in_training_alone_and_follows_its_key(name):
    # With tanh no feature is 0 but for dropout.
    model, variables = build(name, dropout=0.5, activation="tanh")
    apply = jax.jit(model.apply, static_argnames="train")

    def features(train, seed=None):
        rngs = {} if seed is None else {"dropout": jax.random.key(seed)}
        return apply(variables, IMAGES, train=train, rngs=rngs)[1]["features"]

    plain = features(False)
    np.testing.assert_array_equal(plain, features(False, seed=0))
    dropped = features(True, seed=0)
    np.testing.assert_array_equal(dropped, features(True, seed=0))
    assert np.any(dropped != features(True, seed=1))
    assert np.all(plain != 0) and 0.3 < np.mean(dropped == 0) < 0.7


@pytest.mark.parametrize("name", NAMES)
def test_batch_norm_moves_its_statistics_in_training_alone(name):
    model, variables = build(name, norm="batch")
    _, same = model.apply(variables, IMAGES, train=False, mutable=["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, same["batch_stats"], variables["batch_stats"])
    _, moved = model.apply(variables, IMAGES, train=True, mutable=["batch_stats"])
    for old, new in zip(
        jax.tree.leaves(variables["batch_stats"]),
        jax.tree.leaves(moved["batch_stats"]),
        strict=True,
    ):
        assert np.any(old != new)


@pytest.mark.parametrize("name", NAMES)
def test_synchronized_batch_norm_on_four_devices_equals_one(name):
    model, variables = build(name, norm="batch")
    synced = model.clone(norm_axis_name="batch")

    def forward(model, images):
        (output, _), state = model.apply(variables, images, train=True, mutable=["batch_stats"])
        return output, state["batch_stats"]

    output, stats = jax.pmap(
        lambda images: forward(synced, images), "batch", devices=jax.devices()[:4]
    )(IMAGES.reshape(4, 1, 32, 32, 1))
    expected, expected_stats = jax.jit(forward, static_argnums=0)(model, IMAGES)
    np.testing.assert_allclose(output.reshape(expected.shape), expected, atol=2e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, atol=1e-5), stats, expected_stats)


def test_available_matches_shell_patterns():
    assert models.available("le*") == ["lenet5"]
    assert models.available("nothing*") == []
    assert models.available() == sorted(models.MODELS)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("lenet", {}, "unknown model 'lenet'; did you mean 'lenet5'"),
        ("lenet5", {"num_clases": 3}, "'num_clases'; did you mean 'num_classes'"),
        ("lenet5", {"parent": 3}, "no argument 'parent'"),
        ("lenet5", {"num_classes": -1}, "num_classes=-1"),
        ("mlp", {"dropout": 1.0}, "dropout=1.0"),
        ("mlp", {"dtype": "bfloat"}, "did you mean 'bfloat16'"),
        ("mlp", {"norm": "layer"}, "norm='layer'"),
    ],
)
def test_bad_arguments_are_named_when_the_model_is_made(name, kwargs, message):
    with pytest.raises(UserError, match=message):
        models.create(name, **kwargs)
