"""Ranger against fast.ai's rule written out in numpy, past its first joining of weights."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnlab.errors import UserError
from cnnlab.training import optimizers
from cnnlab.training.lookahead import lookahead

STEPS = 20


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def rate(step):
    return 0.02 / (1 + step)


def gradient(step):
    rng = np.random.default_rng(step)
    return {"kernel": rng.normal(size=(3, 2)) + 0.5, "bias": rng.normal(size=(2,))}


def run(optimizer):
    params = jax.tree.map(jnp.asarray, gradient(100))
    state, history = optimizer.init(params), []
    update = jax.jit(optimizer.update)
    for t in range(STEPS):
        updates, state = update(jax.tree.map(jnp.asarray, gradient(t)), state, params)
        params = optax.apply_updates(params, updates)
        history.append(params)
    return history, state


def by_hand(name, *, b1=0.95, b2=0.99, eps=1e-6, every=6, alpha=0.5, decay=0.1):
    """Yield a parameter after each step: decay first, then RAdam's step, then the joining."""
    p = slow = gradient(100)[name]
    m = s = 0.0
    longest = 2 / (1 - b2) - 1
    for t in range(1, STEPS + 1):
        g, lr = gradient(t - 1)[name], rate(t - 1)
        if name == "kernel":
            p = p * (1 - lr * decay)
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g**2
        length = longest - 2 * t * b2**t / (1 - b2**t)
        step = m / (1 - b1**t)
        if length > 5:
            above, below = (length - 4) * (length - 2) * longest, (longest - 4) * (longest - 2)
            step = step * np.sqrt(above / (below * length)) / (np.sqrt(s / (1 - b2**t)) + eps)
        p = p - lr * step
        if t % every == 0:
            p = slow = slow + alpha * (p - slow)
        yield p


@pytest.mark.parametrize("kwargs", [{}, {"every": 4, "alpha": 0.8, "b1": 0.5, "b2": 0.9}])
def test_twenty_steps_equal_the_rule_by_hand(kwargs):
    history, _ = run(optimizers.make("ranger", rate, weight_decay=0.1, **kwargs))
    for name in ("kernel", "bias"):
        for ours, theirs in zip(history, by_hand(name, **kwargs), strict=True):
            np.testing.assert_allclose(ours[name], theirs, rtol=1e-9)


def test_slow_weights_follow_only_when_joined_and_are_then_the_parameters():
    history, state = run(lookahead(optax.sgd(0.1), every=5, alpha=0.5))
    for name, slow in state.slow.items():
        np.testing.assert_allclose(slow, history[-1][name], rtol=1e-12)
    start, fast = (
        gradient(100)["bias"],
        gradient(100)["bias"] - 0.1 * sum(gradient(t)["bias"] for t in range(5)),
    )
    np.testing.assert_allclose(history[4]["bias"], (start + fast) / 2, rtol=1e-9)
    assert int(state.count) == 0


def test_with_alpha_one_it_is_the_optimizer_within():
    ahead, _ = run(lookahead(optax.adam(0.01), every=3, alpha=1.0))
    plain, _ = run(optax.adam(0.01))
    for ours, theirs in zip(ahead, plain, strict=True):
        np.testing.assert_allclose(ours["kernel"], theirs["kernel"], rtol=1e-9)


def test_the_slow_weights_are_no_second_name_of_the_parameters():
    params = {"kernel": jnp.ones((2, 2))}
    state = lookahead(optax.sgd(0.1)).init(params)
    assert state.slow["kernel"] is not params["kernel"]
    pointers = {x.unsafe_buffer_pointer() for x in (state.slow["kernel"], params["kernel"])}
    assert len(pointers) == 2


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"b1": 1.0}, "b1=1.0"),
        ({"b2": -0.1}, "b2=-0.1"),
        ({"every": 0}, "every=0 must be 1 or more"),
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": 1.5}, "alpha=1.5"),
        ({"eps": -1.0}, "eps=-1.0"),
    ],
)
def test_bad_values_are_named(kwargs, message):
    with pytest.raises(UserError, match=message):
        optimizers.make("ranger", rate, **kwargs)
