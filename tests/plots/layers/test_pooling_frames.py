"""Drawn pooling: maxima with switches, means, and where derivatives go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arithmetic_text import evaluate, target
from flax import linen as nn

from cnnlab.errors import UserError
from cnnlab.plots.layers.pooling import pooling_backward_frames, pooling_frames, switches

X = np.array([[1, 3, 2, 4], [5, 6, 7, 8], [9, 2, 1, 0], [3, 4, 5, 6]], float)
DY = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_maxima_and_switches_worked_by_hand():
    frames = pooling_frames(X, 2)
    _, out, won = frames[-1].grids
    np.testing.assert_array_equal(out.values, [[6, 8], [9, 6]])
    np.testing.assert_array_equal(won.values, [[5, 7], [8, 15]])
    assert frames[0].text == "y₀₀ = max(1, 3, 5, 6) = 6"
    maxima, places = switches(X, 2)
    np.testing.assert_array_equal(maxima, out.values)
    np.testing.assert_array_equal(places, won.values)


def test_means_worked_by_hand():
    frames = pooling_frames(X, 2, kind="average")
    np.testing.assert_array_equal(frames[-1].grids[1].values, [[3.75, 5.25], [4.5, 3]])
    assert frames[0].text == "y₀₀ = (1 + 3 + 5 + 6)/4 = 3.75"


def test_derivative_goes_to_the_winner():
    dx = pooling_backward_frames(X, DY, 2)[-1].grids[2].values
    np.testing.assert_array_equal(dx, [[0, 0, 0, 0], [0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 0, 4]])


def test_derivative_of_a_mean_is_shared_out():
    frames = pooling_backward_frames(X, DY, 2, kind="average")
    np.testing.assert_array_equal(frames[-1].grids[2].values, np.kron(DY, np.full((2, 2), 0.25)))
    assert frames[1].text == "each gets 2/4 = 0.5"


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize(
    "geometry",
    [{"window": 3, "stride": 2, "padding": 1}, {"window": 3, "stride": 1}, {"window": 2}],
    ids=str,
)
def test_last_frames_are_pooling_and_its_gradient(kind, geometry):
    rng = np.random.default_rng(0)
    x = rng.permutation(36).reshape(6, 6).astype(float) - 18
    window, stride = geometry["window"], geometry.get("stride", geometry["window"])
    pads = [(geometry.get("padding", 0),) * 2] * 2
    pool = {"max": nn.max_pool, "average": nn.avg_pool}[kind]

    def function(x):
        return pool(x[None, ..., None], (window,) * 2, (stride,) * 2, pads)[0, ..., 0]

    y, pull = jax.vjp(function, jnp.asarray(x))
    frames = pooling_frames(x, kind=kind, **geometry)
    np.testing.assert_allclose(frames[-1].grids[1].values, y, rtol=1e-6)
    assert len(frames) == y.size
    dy = rng.integers(1, 9, y.shape).astype(float)
    backward = pooling_backward_frames(x, dy, kind=kind, **geometry)
    (dx,) = pull(jnp.asarray(dy, y.dtype))
    np.testing.assert_allclose(backward[-1].grids[2].values, dx, rtol=1e-5)
    if kind == "max":
        for frame in backward:
            computed, written = evaluate(frame.text)
            assert computed == written == frame.grids[2].values[target(frame.text)[1]]
        won = frames[-1].grids[2].values
        np.testing.assert_array_equal(x.ravel()[won.astype(int)], y)


def test_padding_never_wins():
    frame = pooling_frames(-X - 1, 2, stride=2, padding=1)[0]
    assert frame.text == "y₀₀ = max(−∞, −∞, −∞, −2) = −2"
    assert frame.grids[2].values[0, 0] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pooling_frames(X, 2, kind="min"), "kind='min' is none of max, average"),
        (lambda: pooling_frames(X, 2, padding=2), "padding=2 must be below window=2"),
        (lambda: pooling_frames(X, 5), "larger than the input"),
        (
            lambda: pooling_backward_frames(X, DY[:1], 2),
            r"shape \(1, 2\) for an output of \(2, 2\)",
        ),
    ],
)
def test_what_cannot_be_drawn_says_why(call, message):
    with pytest.raises(UserError, match=message):
        call()
