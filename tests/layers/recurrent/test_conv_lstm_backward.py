"""Back-propagation through time written out: jax's gradients of plain steps, and of itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.recurrent.conv_lstm import conv_lstm, conv_lstm_forward
from cnnlab.layers.recurrent.conv_lstm_backward import (
    conv_lstm_backward,
    convolve,
    kernel_gradient,
    pads,
)

RNG = np.random.default_rng(0)
T, B, C, F, H, W = 3, 2, 2, 3, 4, 5
PEEPHOLES = {"full": (H, W, F), "shared": (1, 1, F), "of a row": (H, 1, 1), "none": None}


def case(peepholes="full", bias=True, window=(3, 3), time=T, batch=B):
    """Return the arguments of `plain`, in float64."""
    shape = PEEPHOLES[peepholes]
    return (
        RNG.normal(size=(time, batch, H, W, C)),
        RNG.normal(size=(*window, C, 4 * F)) / 3,
        RNG.normal(size=(*window, F, 4 * F)) / 3,
        RNG.normal(size=4 * F) if bias else None,
        None if shape is None else RNG.normal(size=(3, *shape)),
        tuple(RNG.normal(size=(2, batch, H, W, F))),
    )


def plain(x, kernel_x, kernel_h, bias, peepholes, state):
    """Return (H of all times, the last state) by nothing but jax's own operations."""

    def convolution(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=layout)

    def step(state, x):
        h, c = state
        a = convolution(x, kernel_x) + convolution(h, kernel_h) + (0 if bias is None else bias)
        i, f, g, o = jnp.split(a, 4, axis=-1)
        to_i, to_f, to_o = (0, 0, 0) if peepholes is None else peepholes
        c_next = jax.nn.sigmoid(f + to_f * c) * c + jax.nn.sigmoid(i + to_i * c) * jnp.tanh(g)
        h = jax.nn.sigmoid(o + to_o * c_next) * jnp.tanh(c_next)
        return (h, c_next), h

    last, hs = lax.scan(step, state, x)
    return hs, last


def by_hand(arguments, dhs, dlast, unroll=1):
    x, kernel_x, kernel_h, bias, peepholes, state = arguments
    options = {"state": state, "peepholes": peepholes, "unroll": unroll}
    _, trace = conv_lstm_forward(x, kernel_x, kernel_h, bias=bias, **options)
    return conv_lstm_backward(x, kernel_x, kernel_h, trace, dhs, dlast, **options)


def close(ours, expected, tolerance):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def in_order(arguments):
    """Return the arguments with time second, as names of those of `conv_lstm`."""
    x, *rest = arguments
    names = ("kernel_x", "kernel_h", "bias", "peepholes", "state")
    return {"x": jnp.swapaxes(x, 0, 1), **dict(zip(names, rest, strict=True))}


@pytest.mark.parametrize(
    ("peepholes", "bias", "window", "unroll"),
    [
        ("full", True, (3, 3), 1),
        ("shared", False, (2, 3), 2),
        ("of a row", True, (1, 1), 1),
        ("none", False, (3, 4), 1),
        ("none", True, (5, 2), 3),
    ],
)
@pytest.mark.sample(2)
def test_every_gradient_is_jaxs_of_a_plain_scan(peepholes, bias, window, unroll):
    with jax.enable_x64(True):
        arguments = jax.tree.map(jnp.asarray, case(peepholes, bias, window))
        (hs, last), pullback = jax.vjp(jax.jit(plain), *arguments)
        dhs, *dlast = (jnp.asarray(RNG.normal(size=a.shape)) for a in (hs, *last))
        expected = pullback((dhs, tuple(dlast)))
        d = jax.jit(by_hand, static_argnums=3)(arguments, dhs, tuple(dlast), unroll)
        ours = (d.x, d.kernel_x, d.kernel_h, d.bias if bias else None, d.peepholes, d.state)
        close(ours, expected, 1e-12)


def test_forward_leaves_the_states_of_plain_steps_and_gates_that_lead_to_them():
    with jax.enable_x64(True):
        arguments = jax.tree.map(jnp.asarray, case())
        x, kernel_x, kernel_h, bias, peepholes, state = arguments
        last, trace = conv_lstm_forward(
            x, kernel_x, kernel_h, state=state, bias=bias, peepholes=peepholes
        )
        close((trace.hs, last), plain(*arguments), 1e-13)
        i, f, g, o = trace.gates
        before = jnp.concatenate([state[1][None], trace.cells[:-1]])
        close(trace.cells, f * before + i * g, 1e-13)
        close(trace.hs, o * jnp.tanh(trace.cells), 1e-13)


@pytest.mark.parametrize(
    ("peepholes", "bias", "begins"),
    [("full", True, "given"), ("shared", False, "given"), ("full", False, "zeros")],
)
@pytest.mark.sample(1)
def test_the_layers_own_gradients_and_theirs_are_jaxs(peepholes, bias, begins):
    with jax.enable_x64(True):
        arguments = jax.tree.map(jnp.asarray, case(peepholes, bias, (3, 2)))
        zeros = (jnp.zeros((B, H, W, F)),) * 2
        if begins == "zeros":
            arguments = (*arguments[:-1], None)
        direction = jax.tree.map(lambda a: jnp.asarray(RNG.normal(size=a.shape)), arguments)

        def ours(arguments):
            hs, last = conv_lstm(**in_order(arguments))
            return jnp.swapaxes(hs, 0, 1), last

        def loss(function):
            def value(arguments):
                hs, (h, c) = function(arguments)
                return jnp.sum(jnp.sin(hs)) + jnp.sum(h * c * c)

            return value

        def twice(function):
            def along(arguments):
                d = jax.grad(loss(function))(arguments)
                products = jax.tree.map(lambda a, b: jnp.sum(jnp.cos(a) * b), d, direction)
                return sum(jax.tree.leaves(products)), d

            return jax.jit(jax.grad(along, has_aux=True))(arguments)

        def theirs(arguments):
            *others, state = arguments
            return plain(*others, zeros if state is None else state)

        close(twice(ours), twice(theirs), 1e-10)


@pytest.mark.parametrize(("platform", "by_hand"), [("cpu", True), ("cuda", False)])
def test_only_on_cpu_are_the_gradients_of_a_loop_written_out(platform, by_hand):
    arguments = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), case())
    gradient = jax.jit(jax.grad(lambda a: jnp.sum(conv_lstm(**in_order(a))[0])))
    program = gradient.trace(arguments).lower(lowering_platforms=(platform,)).as_text()
    # XLA's own gradients are convolutions only.
    assert ("dot_general" in program) == by_hand


def test_gradients_of_many_parameters_at_once_are_those_of_each():
    with jax.enable_x64(True):
        some = [jax.tree.map(jnp.asarray, case(time=2)) for _ in range(2)]
        both = jax.tree.map(lambda *a: jnp.stack(a), *some)
        gradient = jax.grad(lambda a: jnp.sum(jnp.sin(conv_lstm(**in_order(a))[0])))
        each = [jax.jit(gradient)(a) for a in some]
        expected = jax.tree.map(lambda *a: jnp.stack(a), *each)
        close(jax.jit(jax.vmap(gradient))(both), expected, 1e-12)


def test_bfloat16_adds_up_over_times_in_float32():
    # Each time gives the bias the same small gradient: in bfloat16 their sum would stop growing.
    time = 600
    one = {name: jnp.zeros((1, 1, 1, 4), jnp.bfloat16) for name in ("kernel_x", "kernel_h")}
    x = jnp.ones((time, 1, 1, 1), jnp.bfloat16)
    bias = jnp.array([0, -100, 0, 0], jnp.bfloat16)

    def loss(bias):
        return jnp.sum(conv_lstm(x, **one, bias=bias)[0].astype(jnp.float32))

    d = jax.jit(jax.grad(loss))(bias)
    assert d.dtype == jnp.bfloat16
    # With the cell forgotten, H = tanh(tanh(b) / 2) / 2, whose slope at b = 0 is 1 / 4.
    np.testing.assert_allclose(np.asarray(d, np.float32), [0, 0, time / 4, 0], rtol=4e-3)


@pytest.mark.slow
@pytest.mark.slow
def test_bfloat16_gradients_and_theirs_are_near_those_of_float64():
    def twice(arguments):
        gradient = jax.grad(lambda a: jnp.sum(jnp.sin(conv_lstm(**in_order(a))[0])))
        return jax.grad(lambda a: sum(jnp.sum(jnp.cos(d)) for d in jax.tree.leaves(gradient(a))))(
            arguments
        )

    with jax.enable_x64(True):
        arguments = case(time=2)
        exact = jax.jit(twice)(jax.tree.map(jnp.asarray, arguments))
        narrow = jax.jit(twice)(jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16), arguments))
    for one, other in zip(jax.tree.leaves(narrow), jax.tree.leaves(exact), strict=True):
        assert one.dtype == jnp.bfloat16
        expected = np.asarray(other)
        error = np.linalg.norm(np.asarray(one, np.float64) - expected) / np.linalg.norm(expected)
        assert error < 0.1


@pytest.mark.parametrize(("time", "batch"), [(0, 2), (2, 0)])
def test_of_nothing_the_weights_have_no_gradient(time, batch):
    arguments = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), case(time=time, batch=batch))
    d = jax.jit(jax.grad(lambda a: jnp.sum(conv_lstm(**in_order(a))[1][0])))(arguments)
    x, *weights, (h, c) = d
    assert x.shape == arguments[0].shape
    assert all(not np.any(a) for a in weights)
    np.testing.assert_array_equal(h, np.ones(h.shape))
    assert not np.any(c)


@pytest.mark.parametrize("window", [(3, 3), (1, 2), (4, 3)])
def test_kernel_gradient_is_what_stands_under_each_tap_times_dy(window):
    x, dy = RNG.normal(size=(B, H, W, C)), RNG.normal(size=(B, H, W, F))
    around = pads(np.zeros((*window, C, F)))
    padded = np.pad(x, ((0, 0), *around, (0, 0)))
    expected = np.zeros((*window, C, F))
    for u, v in np.ndindex(*window):
        for n, i, j in np.ndindex(B, H, W):
            expected[u, v] += np.outer(padded[n, i + u, j + v], dy[n, i, j])
    with jax.enable_x64(True):
        ours = kernel_gradient(jnp.asarray(x), jnp.asarray(dy), window, around)
        close(ours, expected, 1e-13)


def test_the_convolution_of_a_step_has_gradients_of_gradients():
    with jax.enable_x64(True):
        x, kernel = jnp.asarray(RNG.normal(size=(1, H, W, C))), RNG.normal(size=(2, 3, C, F))
        around = pads(kernel)
        arguments = (x, jnp.asarray(kernel))
        check_grads(jax.jit(lambda x, k: convolve(x, k, around)), arguments, 2, ("rev",))


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("dhs .* must be", {"dhs": jnp.zeros((T, B, H, W, F + 1))}),
        ("hs .* must be", {"dhs": jnp.zeros((T + 1, B, H, W, F))}),
        ("state .* must be", {"dlast": (jnp.zeros((B, H, W, F)), jnp.zeros((B, H, 1, F)))}),
        ("kernel_h .* 4 gates", {"kernel_h": jnp.zeros((3, 3, F, F))}),
    ],
)
def test_arrays_that_do_not_fit_are_named(message, change):
    arguments = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), case())
    x, kernel_x, kernel_h, bias, peepholes, state = arguments
    _, trace = conv_lstm_forward(x, kernel_x, kernel_h, state=state, bias=bias, peepholes=peepholes)
    given = {
        "x": x,
        "kernel_x": kernel_x,
        "kernel_h": kernel_h,
        "trace": trace,
        "dhs": trace.hs,
        "dlast": state,
        "state": state,
    }
    with pytest.raises(UserError, match=message):
        # Without the run-time check of shapes, which would speak first.
        getattr(conv_lstm_backward, "__wrapped__", conv_lstm_backward)(**(given | change))
