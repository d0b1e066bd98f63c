"""Convolutional LSTM: a loop in numpy, step by step, flax's LSTM cell, and its gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.recurrent.conv_lstm import ConvLSTM, conv_lstm, conv_lstm_step

RNG = np.random.default_rng(0)
C, F, H, W = 2, 3, 4, 5


def normal(*shape, dtype=np.float32):
    return jnp.asarray(RNG.normal(size=shape), dtype)


def case(*batch, time=3, window=(3, 3), peepholes=(H, W), dtype=np.float32):
    arrays = {
        "x": normal(*batch, time, H, W, C, dtype=dtype),
        "kernel_x": normal(*window, C, 4 * F, dtype=dtype) / 3,
        "kernel_h": normal(*window, F, 4 * F, dtype=dtype) / 3,
        "bias": normal(4 * F, dtype=dtype),
    }
    if peepholes:
        arrays["peepholes"] = normal(3, *peepholes, F, dtype=dtype)
    return arrays


def close(ours, expected, tolerance=2e-6):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def slow(x, kernel):
    """Convolution that keeps the size, place by place, zeros around."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    kh, kw = kernel.shape[:2]
    around = np.pad(x, (((kh - 1) // 2, kh // 2), ((kw - 1) // 2, kw // 2), (0, 0)))
    y = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for i, j in np.ndindex(*x.shape[:2]):
        y[i, j] = np.einsum("uvc,uvco->o", around[i : i + kh, j : j + kw], kernel)
    return y


def loop(x, kernel_x, kernel_h, bias, peepholes=None):
    """Equation 3 for one sequence in numpy; returns H of all times and the last C."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    h, c, hs = np.zeros((H, W, F)), np.zeros((H, W, F)), []
    to_i, to_f, to_o = np.zeros((3, 1, 1, F)) if peepholes is None else np.asarray(peepholes)
    for image in x:
        i, f, g, o = np.split(slow(image, kernel_x) + slow(h, kernel_h) + bias, 4, axis=-1)
        i, f = sigmoid(i + to_i * c), sigmoid(f + to_f * c)
        c = f * c + i * np.tanh(g)
        h = sigmoid(o + to_o * c) * np.tanh(c)
        hs.append(h)
    return np.stack(hs), c


@pytest.mark.parametrize("peepholes", [(H, W), (1, 1), None])
@pytest.mark.parametrize("window", [(3, 3), (1, 2), (4, 3)])
def test_values_equal_a_loop_over_times_and_places(window, peepholes):
    arrays = case(window=window, peepholes=peepholes)
    y, (h, c) = conv_lstm(**arrays)
    hs, last = loop(**arrays)
    close(y, hs)
    close((h, c), (hs[-1], last))


def test_step_by_step_gives_the_same():
    arrays = case(2)
    x = arrays.pop("x")
    state = (jnp.zeros((2, H, W, F)),) * 2
    whole, last = conv_lstm(x, **arrays)
    for t in range(3):
        state = conv_lstm_step(state, x[:, t], **arrays)
        close(state[0], whole[:, t])
    close(state, last)


def test_a_sequence_in_two_parts_goes_on_from_the_state():
    arrays = case(2, time=5)
    x = arrays.pop("x")
    whole, last = conv_lstm(x, **arrays)
    first, state = conv_lstm(x[:, :2], **arrays)
    second, state = conv_lstm(x[:, 2:], state=state, **arrays)
    close(jnp.concatenate([first, second], axis=1), whole)
    close(state, last)


def test_unrolled_steps_give_the_same():
    arrays = case(time=5)
    close(conv_lstm(**arrays, unroll=5), conv_lstm(**arrays))
    close(conv_lstm(**arrays, unroll=99), conv_lstm(**arrays))


def test_any_batch_axes_are_examples_of_their_own():
    arrays = case(2, 2)
    y, state = conv_lstm(**arrays)
    for place in np.ndindex(2, 2):
        alone, (h, c) = conv_lstm(**(arrays | {"x": arrays["x"][place]}))
        close((y[place], state[0][place], state[1][place]), (alone, h, c))


def test_states_stay_below_one_and_far_images_come_in_step_by_step():
    arrays = case(time=4, peepholes=None)
    x = 100 * arrays["x"]
    y, _ = conv_lstm(**(arrays | {"x": x}))
    assert np.all(np.abs(y) <= 1)
    # A kernel of 3 moves one place a step: a change at column 0 reaches column t + 1 at time t.
    changed, _ = conv_lstm(**(arrays | {"x": arrays["x"].at[0, :, 0].add(1.0)}))
    seen = np.any(changed != conv_lstm(**arrays)[0], axis=(1, 3))
    np.testing.assert_array_equal(seen, np.arange(W) <= np.arange(1, 5)[:, None])


def test_one_place_without_peepholes_is_flax_lstm_cell():
    x = normal(6, 4, 1, 1, C)
    module = ConvLSTM(F, (1, 1), peepholes=False)
    p = module.init(jax.random.key(0), x)["params"]
    p = jax.tree.map(lambda a: a + 0.2 * normal(*a.shape), p)
    gates = dict(zip("ifgo", range(4), strict=True))
    cell = {}
    for name, n in gates.items():
        part = slice(n * F, (n + 1) * F)
        cell["i" + name] = {"kernel": p["kernel_x"][0, 0, :, part]}
        cell["h" + name] = {"kernel": p["kernel_h"][0, 0, :, part], "bias": p["bias"][part]}
    theirs = nn.RNN(nn.OptimizedLSTMCell(F), return_carry=True)
    (c, h), y = theirs.apply({"params": {"cell": cell}}, x[:, :, 0, 0])
    ours, state = module.apply({"params": p}, x, return_state=True)
    close(ours[:, :, 0, 0], y)
    close((state[0][:, 0, 0], state[1][:, 0, 0]), (h, c))


@pytest.mark.parametrize("window", [(3, 3), (1, 1), (2, 4)])
@pytest.mark.sample(1)
def test_gradients_equal_those_of_plain_steps(window):
    with jax.enable_x64(True):
        arrays = case(2, window=window, dtype=np.float64)

        def plain(x, kernel_x, kernel_h, bias, peepholes):
            h = c = jnp.zeros((2, H, W, F))
            hs = []
            for t in range(x.shape[1]):
                gates = conv(x[:, t], kernel_x, bias) + conv(h, kernel_h)
                i, f, g, o = jnp.split(gates, 4, axis=-1)
                i, f = jax.nn.sigmoid(i + peepholes[0] * c), jax.nn.sigmoid(f + peepholes[1] * c)
                c = f * c + i * jnp.tanh(g)
                h = jax.nn.sigmoid(o + peepholes[2] * c) * jnp.tanh(c)
                hs.append(h)
            return jnp.stack(hs, axis=1), (h, c)

        def gradients(function):
            def loss(arrays):
                y, (h, c) = function(**arrays)
                return jnp.sum(jnp.sin(y)) + jnp.sum(h * c)

            return jax.jit(jax.grad(loss))(arrays)

        close(gradients(conv_lstm), gradients(plain), 1e-11)


def test_gradients_and_theirs_equal_finite_differences():
    with jax.enable_x64(True):
        arrays = case(time=2, window=(2, 3), dtype=np.float64)
        names, values = list(arrays), list(arrays.values())

        @jax.jit
        def f(*values):
            return conv_lstm(**dict(zip(names, values, strict=True)))[0]

        check_grads(f, values, order=2, modes=("rev",), atol=1e-4, rtol=1e-4)


def test_forget_bias_is_the_initial_bias_of_the_forget_gate_alone():
    module = ConvLSTM(F, forget_bias=2.0)
    params = module.init(jax.random.key(0), normal(2, H, W, C))["params"]
    np.testing.assert_array_equal(
        params["bias"].reshape(4, F), [[0] * F, [2] * F, [0] * F, [0] * F]
    )


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 9 * (C + F) * 4 * F + 4 * F + 3 * H * W * F),
        ({"shared_peepholes": True}, 9 * (C + F) * 4 * F + 4 * F + 3 * F),
        ({"peepholes": False, "use_bias": False}, 9 * (C + F) * 4 * F),
    ],
)
def test_parameters_are_counted_by_gates(arguments, count):
    params = ConvLSTM(F, **arguments).init(jax.random.key(0), normal(2, H, W, C))
    assert sum(p.size for p in jax.tree.leaves(params)) == count


def test_module_goes_on_from_a_given_state_in_its_own_dtype():
    module = ConvLSTM(F, dtype=jnp.bfloat16)
    x = normal(1, 4, H, W, C)
    params = module.init(jax.random.key(0), x)
    whole = module.apply(params, x)
    _, state = module.apply(params, x[:, :2], return_state=True)
    assert whole.dtype == jnp.bfloat16
    rest = module.apply(params, x[:, 2:], tuple(s.astype(jnp.float32) for s in state))
    # Two programs: what they round to bfloat16 may be last bits apart.
    np.testing.assert_allclose(
        rest.astype(jnp.float32), whole[:, 2:].astype(jnp.float32), rtol=2**-7, atol=1e-6
    )


def test_no_images_leave_the_state_and_no_examples_are_fine():
    arrays = case(2, time=0)
    state = (normal(2, H, W, F), normal(2, H, W, F))
    y, last = conv_lstm(**arrays, state=state)
    assert y.shape == (2, 0, H, W, F)
    close(last, state)
    assert conv_lstm(**case(0))[0].shape == (0, 3, H, W, F)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("x .* must be", {"x": jnp.zeros((H, W, C))}),
        ("kernel_x .* 4 gates x 3", {"kernel_x": jnp.zeros((3, 3, C, 8))}),
        ("kernel_h .* 4 gates x 3", {"kernel_h": jnp.zeros((3, 3, F, 8))}),
        ("state .* must be two", {"state": (jnp.zeros((H, W, F)), jnp.zeros((H, 1, F)))}),
        ("peepholes", {"peepholes": jnp.zeros((3, H, 2, F))}),
        ("peepholes", {"peepholes": jnp.zeros((2, H, W, F))}),
        ("dtypes", {"x": jnp.zeros((3, H, W, C), jnp.bfloat16)}),
    ],
)
def test_arrays_that_do_not_fit_are_named(message, change):
    with pytest.raises(UserError, match=message):
        # Without the run-time check of shapes, which would speak first.
        getattr(conv_lstm, "__wrapped__", conv_lstm)(**(case() | change))


def test_module_needs_a_sequence():
    with pytest.raises(UserError, match="time, h, w, c"):
        ConvLSTM(F).init(jax.random.key(0), jnp.zeros((H, W, C)))
