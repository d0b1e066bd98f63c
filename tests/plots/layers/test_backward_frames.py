"""The drawn backward pass is the gradient, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arithmetic_text import evaluate, target

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.plots.layers.backward import backward_frames, weight_frames

X, W = np.arange(1.0, 10.0).reshape(3, 3), np.array([[1.0, 2.0], [3.0, 4.0]])
DY = np.array([[1.0, 0.0], [0.0, 2.0]])


def test_slide_gives_the_numbers_worked_by_hand():
    frames = backward_frames(X, W, DY)
    assert len(frames) == 4 + 1 + 9
    np.testing.assert_array_equal(frames[3].grids[2].values, [[11, 14], [20, 23]])
    assert frames[4].text == "∂b = 1 + 0 + 0 + 2 = 3"
    np.testing.assert_array_equal(frames[-1].grids[2].values, [[1, 2, 0], [3, 6, 4], [0, 6, 8]])
    assert frames[9].text == "∂x₁₁ = 1·4 + 0·3 + 0·2 + 2·1 = 6"
    assert frames[0].text == "∂w₀₀ = 1·1 + 2·0 + 4·0 + 5·2 = 11"


@pytest.mark.parametrize(
    "geometry",
    [
        {"stride": 2, "padding": 1},
        {"stride": 2},
        {"stride": 3, "padding": 1, "dilation": 2},
        {"padding": 4},
        {"stride": (1, 2), "padding": ((0, 1), (2, 0)), "dilation": (2, 1)},
    ],
    ids=str,
)
def test_last_frames_are_the_gradients(geometry):
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 10, (6, 6)).astype(float)
    w = rng.integers(-2, 3, (3, 3)).astype(float)

    def function(x, w):
        y = conv(x[..., None], w[..., None, None], **{"padding": 0, **geometry})
        return y[..., 0]

    y, pull = jax.vjp(function, jnp.asarray(x), jnp.asarray(w))
    dy = rng.integers(-3, 4, y.shape).astype(float)
    dx, dw = pull(jnp.asarray(dy, y.dtype))
    frames = backward_frames(x, w, dy, **geometry)
    assert len(frames) == w.size + 1 + x.size
    np.testing.assert_allclose(frames[w.size - 1].grids[2].values, dw)
    np.testing.assert_allclose(frames[-1].grids[2].values, dx)
    for frame in frames:
        computed = evaluate(frame.text)
        assert len(set(computed)) == 1
        current = np.argwhere(frame.grids[-1].current)
        assert computed[-1] == frame.grids[-1].values[tuple(current[0])]
    for frame in frames[-x.size :]:
        letters, cell = target(frame.text)
        assert letters == "∂x"
        assert np.argwhere(frame.grids[2].current).tolist() == [list(cell)]
        # The window over the derivatives: value times note, added up.
        shown = frame.grids[0]
        notes = {c: float(n.strip("×()").replace("−", "-")) for c, n in shown.notes.items()}
        assert sum(shown.values[c] * n for c, n in notes.items()) == evaluate(frame.text)[-1]


def test_derivative_of_another_shape_is_refused():
    with pytest.raises(UserError, match=r"shape \(2, 2\) for an output of \(1, 1\)"):
        weight_frames(X, DY, (3, 3))
