"""What is frozen keeps its bits, and computes in training what it computes at test time."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.training import optimizers
from cnnlab.training.freeze import NOTHING, Freeze

PROBE = dict(model__norm="batch", model__hidden=(12, 12), freeze=("trunk",), ema_decay=0.5)


def steps(count=3, **changes):
    """Return the parts of a run and its state on the host, before and after some steps."""
    parts = small.build(small.config(**changes))
    before = jax.device_get(parts.state)
    state, batches = parts.state, parts.train.batches(0)
    for _ in range(count):
        batch = parts.parallel.place_batch(next(batches))
        state, report = parts.train_step(state, batch, parts.data)
        jax.block_until_ready(report)
    return parts, before, jax.device_get(state), report


SPREADS = {
    "one device": dict(parallel__devices=1, accumulation=2),
    # The mean of three equal numbers need not be the number.
    "pmap on 3": dict(parallel__devices=3, batch_size=18, evaluate__batch_size=63),
    "jit on 8": dict(parallel__devices=8, parallel__strategy="jit"),
    "fsdp on 8": dict(parallel__devices=8, parallel__strategy="fsdp"),
}


@pytest.fixture(scope="module")
def results():
    return {name: steps(**PROBE, **spread) for name, spread in SPREADS.items()}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.sample(2)
def test_frozen_parameters_and_statistics_keep_their_bits(results, spread):
    _, before, after, _ = results[spread]
    assert before.model_state["batch_stats"].keys() == {"hidden1_norm", "hidden2_norm"}
    for old, new in ((before.params, after.params), (before.ema[0], after.ema[0])):
        for module in ("hidden1", "hidden1_norm", "hidden2", "hidden2_norm"):
            jax.tree.map(np.testing.assert_array_equal, old[module], new[module])
        assert (old["logits"]["kernel"] != new["logits"]["kernel"]).any()
    jax.tree.map(np.testing.assert_array_equal, before.model_state, after.model_state)


@pytest.mark.parametrize("spread", ["jit on 8", "fsdp on 8"])
def test_a_probe_is_the_same_however_it_is_spread(results, spread):
    one, many = results["one device"][2].params, results[spread][2].params
    np.testing.assert_allclose(one["logits"]["kernel"], many["logits"]["kernel"], atol=1e-5)


def test_only_what_is_trained_has_a_momentum(results):
    _, _, after, _ = results["one device"]
    shapes = {np.shape(leaf) for leaf in jax.tree.leaves(after.opt_state)}
    assert shapes == {(12, 10), (10,), ()}  # logits, and the count of the schedule


def test_a_linear_probe_is_the_regression_on_features_of_the_frozen_trunk(results):
    parts, before, _, _ = results["one device"]
    model = models.create("mlp", hidden=(12, 12), norm="batch")
    head = before.params["logits"]
    velocity = {name: np.zeros_like(value) for name, value in head.items()}
    _, _, after, _ = steps(1, **PROBE)
    batch = next(parts.train.batches(0))
    images = jnp.asarray(batch["image"], jnp.float32) / 255
    variables = jax.tree.map(jnp.asarray, {"params": before.params, **before.model_state})
    features = np.asarray(model.apply(variables, images, train=False)[1]["features"])
    logits = features @ head["kernel"] + head["bias"]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    error = (probabilities - np.eye(10)[batch["label"]]) / len(images)
    gradient = {"kernel": features.T @ error, "bias": error.sum(0)}
    for name in head:
        velocity[name] += gradient[name]
        expected = head[name] - 0.1 * velocity[name]
        np.testing.assert_allclose(after.params["logits"][name], expected, atol=1e-6)


def test_the_norm_of_the_gradient_is_that_of_what_is_trained(results):
    _, before, _, _ = results["one device"]
    _, _, after, report = steps(1, **PROBE)
    change = jax.tree.map(np.subtract, after.params, before.params)
    norm = float(report.metrics["grad_norm"].compute())
    assert norm == pytest.approx(float(optax.global_norm(change)) / 0.1, rel=1e-4)


def test_part_of_the_norms_can_be_frozen():
    _, before, after, _ = steps(2, **{**PROBE, "freeze": ("^hidden1",)})
    old, new = before.model_state["batch_stats"], after.model_state["batch_stats"]
    np.testing.assert_array_equal(old["hidden1_norm"]["mean"], new["hidden1_norm"]["mean"])
    assert (old["hidden2_norm"]["mean"] != new["hidden2_norm"]["mean"]).all()
    assert (before.params["hidden2"]["kernel"] != after.params["hidden2"]["kernel"]).any()


def test_frozen_norms_hold_through_rematerialization():
    # resnet20 recomputes its stages within a transformation that gives modules new scopes.
    model = models.create("resnet20", width=0.25, depths=(1, 1, 1), remat=True)
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    variables = jax.jit(lambda: model.init(jax.random.key(1), images))()
    params, statistics = variables["params"], variables["batch_stats"]
    freeze = Freeze(("trunk",))

    def loss(params, train):
        (logits, _), state = model.apply(
            {"params": params, "batch_stats": statistics}, images, train, mutable=["batch_stats"]
        )
        return jnp.sum(logits**2), state["batch_stats"]

    both = jax.jit(
        lambda params: (
            jax.grad(freeze.loss(loss), has_aux=True)(params, True),
            loss(params, False),
            freeze.loss(loss)(params, True),
        )
    )
    (gradient, moved), (value, _), (frozen_value, _) = both(params)
    assert float(frozen_value) == pytest.approx(float(value), rel=1e-5)
    jax.tree.map(np.testing.assert_array_equal, moved, statistics)
    zero = {name: not np.any(jax.tree.leaves(g)[0]) for name, g in gradient.items()}
    assert zero == {name: name != "logits" for name in params}


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_every_optimizer_leaves_the_frozen_alone_and_trains_the_rest_as_ever(name):
    params = {"trunk": {"kernel": jnp.ones((3, 2))}, "logits": {"kernel": jnp.ones((2, 2))}}
    gradient = jax.tree.map(lambda x: 0.5 * x, params)
    rule = optimizers.make(name, lambda _: 0.1, weight_decay=0.1)
    frozen = Freeze(("^trunk",)).optimizer(rule)
    found, _ = frozen.update(gradient, frozen.init(params), params)
    expected, _ = rule.update(gradient, rule.init(params), params)
    np.testing.assert_array_equal(found["trunk"]["kernel"], np.zeros((3, 2)))
    np.testing.assert_allclose(found["logits"]["kernel"], expected["logits"]["kernel"])


def test_nothing_frozen_changes_nothing():
    rule = optax.sgd(0.1)
    assert NOTHING.optimizer(rule) is rule
    assert NOTHING.loss(np.sum) is np.sum


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (("hiden1",), "freeze: 'hiden1' matches no parameter (did you mean 'hidden1'?)"),
        ((".",), "leaves no parameter to train"),
    ],
)
def test_bad_entries_are_refused(freeze, message):
    with pytest.raises(UserError) as error:
        small.build(small.config(freeze=freeze))
    assert message in str(error.value)
