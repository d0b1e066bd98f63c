"""Optimizers against updates written out in numpy, several steps long."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.training import optimizers, schedules
from cnnlab.utils.registry import defaults

STEPS, DECAY = 5, 0.1
RATES = np.array([0.1, 0.2, 0.15, 0.05, 0.01])


def schedule(step):
    return jnp.asarray(RATES)[step]


@pytest.fixture(autouse=True)
def double_precision():
    # In float32 Adam's 1 - 0.999^t alone is off by 6e-5, which would hide small mistakes.
    with jax.enable_x64(True):
        yield


def values(step):
    """A kernel and a bias, or their gradients: the same arithmetic, but for decay."""
    rng = np.random.default_rng(step)
    return {"kernel": rng.normal(size=(3, 4)), "bias": rng.normal(size=(4,))}


def run(name, **kwargs):
    """Return the parameters after each of `STEPS` updates."""
    optimizer = optimizers.make(name, schedule, **kwargs)
    params = jax.tree.map(jnp.asarray, values(0))
    state, history = optimizer.init(params), []
    update = jax.jit(optimizer.update)
    for t in range(STEPS):
        gradient = jax.tree.map(jnp.asarray, values(t + 1))
        updates, state = update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        history.append(params)
    return history


def by_hand(rule, *, decay=DECAY, change=lambda gradients: gradients):
    """As `run`, with `rule(p, g, lr, decay, memory) -> p`, `decay` being 0 for the bias."""
    params, history = values(0), []
    memories: dict[str, dict] = {name: {} for name in params}
    for t in range(STEPS):
        gradients = change(values(t + 1))
        params = {
            name: rule(p, gradients[name], RATES[t], decay * (p.ndim > 1), memories[name])
            for name, p in params.items()
        }
        history.append(params)
    return history


def assert_same(history, expected):
    for ours, theirs in zip(history, expected, strict=True):
        for name, value in theirs.items():
            np.testing.assert_allclose(ours[name], value, rtol=1e-9, err_msg=name)


def sgd(p, g, lr, decay, memory, *, nesterov=False):
    g = g + decay * p
    v = memory["v"] = 0.9 * memory.get("v", 0) + g
    return p - lr * (g + 0.9 * v if nesterov else v)


def adam(p, g, memory, eps=1e-8):
    t = memory["t"] = memory.get("t", 0) + 1
    m = memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    v = memory["s"] = 0.999 * memory.get("s", 0) + 0.001 * g**2
    return (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + eps)


def lars(p, g, lr, decay, memory, *, eps=0.0):
    ratio = 1.0
    if p.ndim > 1:
        norm = np.sqrt((p**2).sum())
        ratio = 0.001 * norm / (np.sqrt((g**2).sum()) + decay * norm + eps)
    v = memory["v"] = 0.9 * memory.get("v", 0) + lr * ratio * (g + decay * p)
    return p - v


def lamb(p, g, lr, decay, memory):
    update = adam(p, g, memory, 1e-6) + decay * p
    if p.ndim > 1:
        update = update * np.sqrt((p**2).sum() / (update**2).sum())
    return p - lr * update


def adagrad(p, g, lr, decay, memory):
    g = g + decay * p
    s = memory["s"] = memory.get("s", 0.1) + g**2
    return p - lr * g / np.sqrt(s + 1e-7)


def rmsprop(p, g, lr, decay, memory):
    g = g + decay * p
    s = memory["s"] = 0.9 * memory.get("s", np.ones_like(p)) + 0.1 * g**2
    v = memory["v"] = 0.9 * memory.get("v", 0) + lr * g / np.sqrt(s + 1.0)
    return p - v


def first_of_ranger(p, g, lr, decay, memory):
    # Up to the 5th update RAdam is momentum SGD, and the slow weights are left alone.
    t = memory["t"] = memory.get("t", 0) + 1
    m = memory["m"] = 0.95 * memory.get("m", 0) + 0.05 * g
    return p - lr * (m / (1 - 0.95**t) + decay * p)


RULES = {
    "sgd": sgd,
    "adam": lambda p, g, lr, decay, memory: p - lr * adam(p, g + decay * p, memory),
    "adamw": lambda p, g, lr, decay, memory: p - lr * (adam(p, g, memory) + decay * p),
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "lars": lars,
    "lamb": lamb,
    "ranger": first_of_ranger,
}


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_five_steps_equal_the_rule_by_hand(name):
    assert_same(run(name, weight_decay=DECAY), by_hand(RULES[name]))


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_without_decay_too(name):
    assert_same(run(name), by_hand(RULES[name], decay=0.0))


def test_nesterov_looks_ahead():
    def rule(*arguments):
        return sgd(*arguments, nesterov=True)

    assert_same(run("sgd", nesterov=True, weight_decay=DECAY), by_hand(rule))


def test_the_rate_may_be_within_the_momentum_as_alexnet_has_it():
    def rule(p, g, lr, decay, memory):
        v = memory["v"] = 0.9 * memory.get("v", 0) - decay * lr * p - lr * g
        return p + v

    history = run("sgd", rate_in_momentum=True, weight_decay=DECAY)
    assert_same(history, by_hand(rule))
    # Under a rate that changes it is another rule than the usual one.
    assert np.abs(history[-1]["kernel"] - run("sgd", weight_decay=DECAY)[-1]["kernel"]).max() > 0.1


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "lars"])
def test_momentum_can_be_switched_off(name):
    def rule(p, g, lr, decay, memory):
        memory.pop("v", None)
        return RULES[name](p, g, lr, decay, memory)

    assert_same(run(name, momentum=0.0, weight_decay=DECAY), by_hand(rule))


def test_lars_leaves_a_zero_parameter_its_plain_gradient():
    optimizer = optimizers.make("lars", lambda _: 0.5, weight_decay=DECAY, momentum=0.0)
    zeros = {"kernel": jnp.zeros((2, 2))}
    gradient = {"kernel": jnp.ones((2, 2))}
    updates, _ = optimizer.update(gradient, optimizer.init(zeros), zeros)
    np.testing.assert_allclose(updates["kernel"], -0.5)


def test_lars_adapts_every_parameter_under_the_mask_all():
    optimizer = optimizers.make("lars", lambda _: 1.0, decay_mask="all", weight_decay=0.5)
    params = {"bias": jnp.array([3.0, 4.0])}
    updates, _ = optimizer.update({"bias": jnp.array([0.6, 0.8])}, optimizer.init(params), params)
    # |p| = 5, |g| = 1: ratio 0.001 * 5 / (1 + 2.5), times g + p / 2.
    np.testing.assert_allclose(updates["bias"], -0.005 / 3.5 * np.array([2.1, 2.8]), rtol=1e-5)


def test_clipping_scales_the_whole_gradient_before_decay_and_momentum():
    def clip(gradients, largest=1.5):
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        assert norm > largest
        return {name: g * largest / norm for name, g in gradients.items()}

    assert_same(run("sgd", clip_norm=1.5, weight_decay=DECAY), by_hand(sgd, change=clip))


def test_clipping_leaves_a_small_gradient_alone():
    assert_same(run("sgd", clip_norm=1e3), by_hand(sgd, decay=0.0))


def lenet_params(**kwargs):
    model = models.create("lenet5", **kwargs)
    return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 1))))[
        "params"
    ]


def test_decay_alone_shrinks_only_what_the_mask_takes():
    params = jax.tree.map(lambda s: jnp.ones(s.shape), lenet_params())
    optimizer = optimizers.make("adamw", lambda _: 0.5, weight_decay=0.1)
    gradient = jax.tree.map(jnp.zeros_like, params)
    updates, _ = jax.jit(optimizer.update)(gradient, jax.jit(optimizer.init)(params), params)
    for path, update in jax.tree.leaves_with_path(updates):
        expected = -0.05 if path[-1].key == "kernel" else 0.0
        np.testing.assert_allclose(update, expected, rtol=1e-6, err_msg=str(path))


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_hyper_parameters_are_keywords_with_a_default(name):
    hyper_parameters = defaults(optimizers.OPTIMIZERS[name])
    assert hyper_parameters and None not in hyper_parameters.values()
    optimizers.make(name, schedule, **hyper_parameters)


def test_the_rate_of_update_t_is_the_schedule_at_t():
    rate = schedules.make("polynomial", 0.3, STEPS, warmup=2)
    optimizer = optimizers.make("sgd", rate, momentum=0.0)
    params = {"kernel": jnp.zeros((2, 2))}
    state = optimizer.init(params)
    for t in range(STEPS):
        updates, state = optimizer.update({"kernel": jnp.ones((2, 2))}, state, params)
        np.testing.assert_allclose(updates["kernel"], -rate(t), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("sdg", {}, "unknown optimizer 'sdg'; did you mean 'sgd'"),
        ("sgd", {"momentun": 0.9}, "'momentun'; did you mean 'momentum'"),
        ("sgd", {"weight_decy": 0.9}, "'weight_decy'; did you mean 'weight_decay'"),
        ("adam", {"momentum": 0.9}, "optimizer 'adam' has no argument 'momentum'"),
        ("sgd", {"decay_mask": "kernel"}, "did you mean 'kernels'"),
        ("sgd", {"weight_decay": -0.1}, "weight_decay=-0.1"),
        ("sgd", {"clip_norm": float("nan")}, "clip_norm=nan"),
        ("sgd", {"momentum": 1.0}, "momentum=1.0"),
        ("adam", {"b2": -0.1}, "b2=-0.1"),
        ("lamb", {"eps": -1.0}, "eps=-1.0"),
        ("lars", {"trust_coefficient": -1.0}, "trust_coefficient=-1.0"),
    ],
)
def test_bad_values_are_named(name, kwargs, message):
    with pytest.raises(UserError, match=message):
        optimizers.make(name, schedule, **kwargs)
