"""LSUV: unit variances through a deep network, in order of execution, on any linen model."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.lsuv import lsuv

KEY = jax.random.key(0)
IMAGES = jax.random.normal(jax.random.key(1), (16, 8, 8, 3)) * 5 + 1


class Backwards(nn.Module):
    """Names against the order of execution, nesting, two kinds of convolution, a shared layer."""

    @nn.compact
    def __call__(self, x, gain=1.0):
        x = nn.relu(Conv(8, (3, 3), name="z")(gain * x))
        x = nn.relu(Inner(name="y")(x))
        x = nn.relu(nn.ConvTranspose(8, (2, 2), name="x")(x))
        shared = nn.Dense(8, name="b")
        x = shared(nn.relu(shared(x)))
        return nn.Dense(5, name="a")(x.mean((1, 2)))


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.remat(nn.Conv)(8, (3, 3), name="conv")(x)


class Deep(nn.Module):
    layers: int = 12

    @nn.compact
    def __call__(self, x):
        for n in range(self.layers):
            x = nn.relu(nn.Dense(64, name=f"layer{n}")(x))
        return nn.Dense(10, name="logits")(x)


def outputs(model, variables, x, **call):
    """Return the outputs of all submodules by path, the first of each."""
    _, state = model.apply(variables, x, capture_intermediates=True, mutable=True, **call)
    found = {}
    for path, value in jax.tree.leaves_with_path(state["intermediates"]):
        keys = [k.key for k in path if hasattr(k, "key")]
        found.setdefault("/".join(keys[:-1]), np.asarray(value, np.float64))
    return found


def test_every_layer_of_a_deep_network_has_variance_one():
    x = jax.random.normal(KEY, (256, 64))
    model = Deep()
    before = jax.jit(model.init)(jax.random.key(2), x)
    scaled, report = lsuv(model, before, x, key=KEY)
    found = outputs(model, scaled, x)
    assert [row.name for row in report] == [*(f"layer{n}" for n in range(12)), "logits"]
    for row in report:
        assert abs(found[row.name].var() - 1) < 0.1
        assert row.after == pytest.approx(found[row.name].var(), rel=1e-4)
    # Orthonormal alone keeps the first and then, after ReLU, loses.
    assert abs(report[0].before - 1) < 0.1 and report[0].iterations == 0
    assert all(row.before < 0.9 and row.iterations == 1 for row in report[1:])


def test_layers_are_scaled_in_the_order_of_execution():
    model = Backwards()
    before = jax.jit(model.init)(KEY, IMAGES)
    scaled, report = lsuv(model, before, IMAGES, key=KEY)
    assert [row.name for row in report] == ["z", "y/conv", "x", "b", "a"]
    found = outputs(model, scaled, IMAGES)
    for row in report:
        assert found[row.name].var() == pytest.approx(row.after, rel=1e-4)
        assert abs(row.after - 1) < 0.1


def test_kernels_are_orthonormal_times_one_number_and_all_else_stays():
    model = Backwards()
    before = jax.tree.map(lambda v: v + 0.01, jax.jit(model.init)(KEY, IMAGES))
    scaled, _ = lsuv(model, before, IMAGES, key=KEY)
    assert jax.tree.structure(scaled) == jax.tree.structure(before)
    for name in ("z", "b"):
        kernel = scaled["params"][name]["kernel"]
        matrix = np.asarray(kernel).reshape(-1, kernel.shape[-1])
        gram = matrix.T @ matrix
        np.testing.assert_allclose(gram / gram[0, 0], np.eye(len(gram)), atol=1e-4)
        np.testing.assert_array_equal(
            scaled["params"][name]["bias"], before["params"][name]["bias"]
        )


def test_without_the_orthonormal_start_kernels_keep_their_directions():
    model = Backwards()
    before = jax.jit(model.init)(KEY, IMAGES)
    scaled, report = lsuv(model, before, IMAGES, key=KEY, orthonormal_start=False)
    old, new = (v["params"]["z"]["kernel"] for v in (before, scaled))
    np.testing.assert_allclose(new * np.sqrt(report[0].before), old, rtol=1e-4)


def test_the_last_layer_is_left_alone_on_request():
    model = Backwards()
    before = jax.jit(model.init)(KEY, IMAGES)
    scaled, report = lsuv(model, before, IMAGES, key=KEY, skip_last=True)
    assert [row.name for row in report] == ["z", "y/conv", "x", "b"]
    np.testing.assert_array_equal(scaled["params"]["a"]["kernel"], before["params"]["a"]["kernel"])


def test_a_wider_tolerance_leaves_more_as_it_is_and_iterations_end():
    model = Backwards()
    before = jax.jit(model.init)(KEY, IMAGES)
    _, rough = lsuv(model, before, IMAGES, key=KEY, tolerance=1e9)
    assert {row.iterations for row in rough} == {0}
    # With a bias whose share is never scaled away, one division is not enough.
    biased = jax.tree.map(lambda v: v, before)
    biased["params"]["a"]["bias"] = 3 * jnp.arange(5.0)
    _, report = lsuv(model, biased, IMAGES, key=KEY, max_iterations=3)
    assert report[-1].iterations == 3 and report[-1].after > 1.1


def test_inputs_and_keywords_of_the_call_are_passed_on():
    model = Backwards()
    before = jax.jit(model.init)(KEY, IMAGES)
    options = dict(key=KEY, orthonormal_start=False)
    _, plain = lsuv(model, before, IMAGES, **options)
    _, keyword = lsuv(model, before, IMAGES, **options, call={"gain": 2.0})
    _, positional = lsuv(model, before, (IMAGES, 2.0), **options)
    assert keyword[0].before == pytest.approx(4 * plain[0].before, rel=1e-4)
    assert keyword == positional


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lenet5", ["c1", "c3", "c5", "f6", "logits"]),
        ("mlp", ["hidden1", "hidden2", "logits"]),
    ],
)
@pytest.mark.sample(1)
def test_models_with_batch_norm_and_dropout_in_training(name, layers):
    small = {"mlp": {"hidden": (16, 16)}}.get(name, {})
    model = models.create(name, norm="batch", dropout=0.2, **small)
    x = jax.random.normal(KEY, (16, 32, 32, 1))
    before = jax.jit(model.init)(KEY, x)
    scaled, report = lsuv(model, before, x, key=KEY, call={"train": True})
    assert [row.name for row in report] == layers
    assert all(abs(row.after - 1) < 0.1 for row in report)
    jax.tree.map(np.testing.assert_array_equal, scaled["batch_stats"], before["batch_stats"])


class Repeated(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(8, name="dense")(x), None


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, x):
        many = nn.scan(Repeated, {"params": 0}, split_rngs={"params": True}, length=3)
        return many(name="many")(x)[0]


@pytest.mark.parametrize(
    ("model", "x", "message"),
    [
        (nn.LayerNorm(), jnp.ones((4, 8)), "no layer with a kernel"),
        (Deep(layers=1), jnp.zeros((4, 8)), "output of 'layer0' has variance 0.0"),
        (Scanned(), jnp.ones((4, 8)), "many/dense cannot be measured in a lifted scan"),
    ],
)
def test_what_cannot_be_scaled_is_named(model, x, message):
    variables = model.init(KEY, x)
    with pytest.raises(UserError, match=message):
        lsuv(model, variables, x, key=KEY)
