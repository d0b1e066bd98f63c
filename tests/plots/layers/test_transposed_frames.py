"""The drawn transposed convolution is the adjoint, and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arithmetic_text import evaluate

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.plots.layers.frame import INSERTED
from cnnlab.plots.layers.transposed import transposed_backward_frames, transposed_frames

X = np.array([[1.0, 2.0], [3.0, 4.0]])


def adjoint(x, w, size, **geometry):
    """The transposed convolution as the pull-back of a convolution."""
    shape = jnp.zeros((*size, 1), x.dtype)
    _, pull = jax.vjp(lambda z: conv(z, w[..., None, None], **geometry), shape)
    return pull(x[..., None])[0][..., 0]


def test_numbers_worked_by_hand():
    one = transposed_frames(X, X)[-1].grids[2].values
    np.testing.assert_array_equal(one, [[1, 4, 4], [6, 20, 16], [9, 24, 16]])
    two = transposed_frames(X, X, stride=2)[-1].grids[2].values
    np.testing.assert_array_equal(two, [[1, 2, 2, 4], [3, 4, 6, 8], [3, 6, 4, 8], [9, 12, 12, 16]])
    ones = np.ones((3, 3))
    checkerboard = transposed_frames(ones, ones, stride=2, padding=1)[-1].grids[2].values
    np.testing.assert_array_equal(checkerboard[1:4, 1:4], [[4, 2, 4], [2, 1, 2], [4, 2, 4]])


@pytest.mark.parametrize(
    ("geometry", "extra"),
    [
        ({"stride": 1, "padding": 0}, 0),
        ({"stride": 2, "padding": 1}, 1),
        ({"stride": 3, "padding": 0, "dilation": 2}, 0),
        ({"stride": 1, "padding": 2, "dilation": 2}, 0),
    ],
)
@pytest.mark.sample(1)
def test_last_frames_are_the_adjoint_and_its_gradients(geometry, extra):
    rng = np.random.default_rng(1)
    x = rng.integers(-3, 5, (3, 3)).astype(float)
    w = rng.integers(-2, 3, (3, 3)).astype(float)
    frames = transposed_frames(x, w, output_padding=extra, **geometry)
    y = frames[-1].grids[2].values

    def function(x, w):
        return adjoint(x, w, y.shape, **geometry)

    expected, pull = jax.vjp(function, jnp.asarray(x), jnp.asarray(w))
    np.testing.assert_allclose(y, expected)
    assert len(frames) == y.size
    assert all(len(set(evaluate(frame.text))) == 1 for frame in frames)
    if not extra:
        dy = rng.integers(-3, 4, y.shape).astype(float)
        dx, dw = pull(jnp.asarray(dy, expected.dtype))
        backward = transposed_backward_frames(x, w, dy, **geometry)
        np.testing.assert_allclose(backward[w.size - 1].grids[2].values, dw)
        np.testing.assert_allclose(backward[-1].grids[2].values, dx)
        assert len(backward) == w.size + x.size


def test_zeros_between_the_inputs_are_distinguished_from_padding():
    shown = transposed_frames(X, X, stride=2)[0].grids[0]
    between = np.argwhere(shown.kinds == INSERTED).tolist()
    assert between == [[1, 2], [2, 1], [2, 2], [2, 3], [3, 2]]


def test_output_padding_must_be_below_the_stride():
    with pytest.raises(UserError, match="output_padding=2 must be below stride=2"):
        transposed_frames(X, X, stride=2, output_padding=2)
