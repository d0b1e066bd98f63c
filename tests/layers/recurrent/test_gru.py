"""GRU against the paper's equations, one number at a time in time, and what it remembers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.recurrent.gru import GRU, RESETS, gru

TIME, CHANNELS, FEATURES = 5, 3, 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def parameters():
    return {
        "kernel_x": normal(CHANNELS, 3 * FEATURES, seed=1),
        "kernel_h": normal(FEATURES, 3 * FEATURES, seed=2),
        "bias": normal(3 * FEATURES, seed=3),
    }


def equations(x, h, kernel_x, kernel_h, bias, reset, bias_h=0.0):
    """Cho et al. 2014, equations 5 to 8, for one sequence; or with the reset after the product."""
    w_r, w_z, w_n = np.split(kernel_x, 3, axis=1)
    u_r, u_z, u_n = np.split(kernel_h, 3, axis=1)
    b_r, b_z, b_n = np.split(bias, 3)
    states = []
    for x_t in x:
        r = sigmoid(x_t @ w_r + h @ u_r + b_r)
        z = sigmoid(x_t @ w_z + h @ u_z + b_z)
        recurrent = (r * h) @ u_n if reset == "before" else r * (h @ u_n + bias_h)
        n = np.tanh(x_t @ w_n + recurrent + b_n)
        h = z * h + (1 - z) * n
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize("unroll", [1, 3, 99])
@pytest.mark.parametrize("reset", RESETS)
def test_it_follows_the_equations(reset, unroll):
    x, first = normal(2, 3, TIME, CHANNELS), normal(2, 3, FEATURES, seed=4)
    extra = {"bias_h": normal(FEATURES, seed=5)} if reset == "after" else {}
    given = {k: jnp.asarray(v, jnp.float32) for k, v in {**parameters(), **extra}.items()}
    result = gru(
        jnp.asarray(x, jnp.float32),
        **given,
        state=jnp.asarray(first, jnp.float32),
        reset=reset,
        unroll=unroll,
    )
    for place in np.ndindex(2, 3):
        expected = equations(x[place], first[place], **parameters(), reset=reset, **extra)
        np.testing.assert_allclose(result[place], expected, rtol=1e-4, atol=1e-5)


def test_a_step_worked_by_hand():
    # x = 1 and h = 1/2; r = sigmoid(0) = 1/2, z = sigmoid(ln 3) = 3/4, and the candidate is
    # tanh(1/2 ln 3 + r h) with r h = 1/4: tanh(0.7993) = 0.6637; h' = 3/8 + 0.6637 / 4.
    kernel_x = jnp.array([[0.0, np.log(3), np.log(3) / 2]], jnp.float32)
    kernel_h = jnp.array([[0.0, 0.0, 1.0]], jnp.float32)
    h = gru(jnp.ones((1, 1)), kernel_x, kernel_h, state=jnp.array([0.5]))
    np.testing.assert_allclose(h[0, 0], 0.375 + 0.6637 / 4, atol=1e-4)


def test_an_update_gate_of_one_keeps_the_state_and_of_zero_forgets_it():
    given = {k: jnp.asarray(v, jnp.float32) for k, v in parameters().items()}
    x = jnp.asarray(normal(TIME, CHANNELS), jnp.float32)
    first = jnp.full(FEATURES, 0.3)
    closed = given["bias"].at[FEATURES : 2 * FEATURES].set(100.0)
    kept = gru(x, **{**given, "bias": closed}, state=first)
    np.testing.assert_allclose(kept, np.full((TIME, FEATURES), 0.3), atol=1e-6)
    # Neither gate lets the past through: every state is that of its own input.
    opened = jnp.full(3 * FEATURES, -100.0).at[2 * FEATURES :].set(0.0)
    alone = gru(x, **{**given, "bias": opened}, state=first)
    expected = np.tanh(x @ given["kernel_x"][:, 2 * FEATURES :])
    np.testing.assert_allclose(alone, expected, atol=1e-5)


def test_gradients_are_finite_differences():
    with jax.enable_x64(True):
        given = {k: jnp.asarray(v) for k, v in parameters().items()}
        x = jnp.asarray(normal(TIME, CHANNELS))

        def loss(given):
            return jnp.sum(jnp.sin(gru(x, **given)))

        gradients = jax.jit(jax.grad(loss))(given)
        evaluate = jax.jit(loss)
        for name, gradient in gradients.items():
            direction = normal(*gradient.shape, seed=9)
            ahead, behind = (
                evaluate({**given, name: given[name] + s * 1e-6 * direction}) for s in (1, -1)
            )
            expected = (ahead - behind) / 2e-6
            np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-6)


def test_the_module_starts_with_orthonormal_recurrent_weights_and_no_bias():
    x = jnp.asarray(normal(2, TIME, 50), jnp.float32)
    layer = GRU(20, reset="after")
    params = jax.jit(layer.init)(jax.random.key(0), x)["params"]
    for matrix in np.split(np.asarray(params["kernel_h"]), 3, axis=1):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(20), atol=1e-5)
    assert abs(np.std(params["kernel_x"]) / 50**-0.5 - 1) < 0.1
    assert not params["bias"].any() and not params["bias_h"].any()
    np.testing.assert_array_equal(
        layer.apply({"params": params}, x), gru(x, **params, reset="after")
    )
    state = jnp.ones((2, 20))
    np.testing.assert_array_equal(
        layer.apply({"params": params}, x, state), gru(x, **params, state=state, reset="after")
    )
    assert set(jax.eval_shape(GRU(3, use_bias=False).init, jax.random.key(0), x)["params"]) == {
        "kernel_x",
        "kernel_h",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel_x": np.zeros((2, 12))}, "kernels"),
        ({"kernel_h": np.zeros((4, 8))}, "kernels"),
        ({"state": np.zeros(5)}, r"needs \(4,\)"),
        ({"bias_h": np.zeros(4)}, "reset='after'"),
        ({"reset": "never"}, "unknown gru.reset 'never'"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    given = {k: jnp.asarray(v, jnp.float32) for k, v in parameters().items()}
    given |= {
        k: v if isinstance(v, str) else jnp.asarray(v, jnp.float32) for k, v in changes.items()
    }
    with pytest.raises(UserError, match=message):
        gru(jnp.zeros((TIME, CHANNELS)), **given)
