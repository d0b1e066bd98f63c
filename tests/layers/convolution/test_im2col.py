"""The patch matrix by hand, as a convolution, and as half of an adjoint pair."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.conv_backward import conv_backward
from cnnlab.layers.convolution.im2col import col2im, conv_im2col, conv_im2col_backward, im2col

# x, window, arguments.
CASES = {
    "1-D": ((2, 7, 3), (3,), {"stride": 2, "padding": "VALID"}),
    "SAME": ((2, 4, 5, 2), (2, 3), {}),
    "stride above the window": ((2, 7, 8, 2), (2, 1), {"stride": 3, "padding": "VALID"}),
    "dilation": ((1, 7, 8, 2), (3, 2), {"dilation": (2, 3), "padding": 1}),
    "circular": ((1, 4, 5, 4), (3, 3), {"padding_mode": "circular"}),
    "reflect": ((1, 4, 5, 2), (3, 3), {"padding_mode": "reflect", "stride": 2}),
    "more batch axes": ((2, 3, 4, 4, 2), (2, 2), {"padding": "VALID"}),
    "no batch axis": ((4, 4, 2), (3, 3), {}),
    "3-D": ((2, 4, 3, 5, 2), (2, 3, 2), {"stride": (1, 1, 2), "dilation": (2, 1, 1)}),
}
each_case = pytest.mark.parametrize("name", CASES)
SLIDE = jnp.arange(1.0, 10).reshape(1, 3, 3, 1)


def test_rows_of_the_slide_are_its_windows():
    patches = im2col(SLIDE, (2, 2), padding="VALID")
    expected = [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
    np.testing.assert_array_equal(patches, expected)
    np.testing.assert_array_equal(patches @ jnp.arange(1.0, 5), [37, 47, 67, 77])


def test_the_slide_forward_and_backward():
    kernel = jnp.arange(1.0, 5).reshape(2, 2, 1, 1)
    dy = jnp.asarray([[1.0, 0], [0, 2]]).reshape(1, 2, 2, 1)
    y = conv_im2col(SLIDE, kernel, jnp.asarray([1.0]), padding="VALID")
    np.testing.assert_array_equal(y[0, :, :, 0], [[38, 48], [68, 78]])
    dx, dkernel, dbias = conv_im2col_backward(SLIDE, kernel, dy, padding="VALID")
    np.testing.assert_array_equal(dkernel[:, :, 0, 0], [[11, 14], [20, 23]])
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 2, 0], [3, 6, 4], [0, 6, 8]])
    np.testing.assert_array_equal(dbias, [3])


def test_channels_change_fastest():
    x = jnp.stack([SLIDE[..., 0], 10 * SLIDE[..., 0]], axis=-1)
    patches = im2col(x, (2, 2), padding="VALID", stride=2)
    np.testing.assert_array_equal(patches, [[1, 10, 2, 20, 4, 40, 5, 50]])


def test_overlaps_add_up():
    ones = jnp.ones((4, 4))
    counts = col2im(ones, (1, 3, 3, 1), (2, 2), padding="VALID")
    np.testing.assert_array_equal(counts[0, :, :, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])


def test_what_is_not_seen_comes_back_as_zero():
    x = jnp.ones((1, 5, 1))
    back = col2im(im2col(x, (1,), stride=3), x.shape, (1,), stride=3)
    np.testing.assert_array_equal(back.ravel(), [1, 0, 0, 1, 0])


@each_case
@pytest.mark.sample(4)
def test_col2im_is_the_adjoint_of_im2col(name):
    shape, window, keywords = CASES[name]
    x = jax.random.normal(jax.random.key(0), shape)
    patches = jax.jit(lambda x: im2col(x, window, **keywords))(x)
    other = jax.random.normal(jax.random.key(1), patches.shape)
    back = jax.jit(lambda p: col2im(p, shape, window, **keywords))(other)
    np.testing.assert_allclose(jnp.vdot(patches, other), jnp.vdot(x, back), rtol=2e-5, atol=1e-4)


@each_case
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.sample(6)
def test_products_of_matrices_equal_the_convolution_and_its_backward_pass(name, groups):
    shape, window, keywords = CASES[name]
    if shape[-1] % groups:
        groups = shape[-1]
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x = jnp.asarray(rng.normal(size=shape))
        kernel = jnp.asarray(rng.normal(size=(*window, shape[-1] // groups, 6)))
        bias = jnp.asarray(rng.normal(size=6))
        settings = keywords | {"groups": groups}

        @jax.jit
        def both(x, kernel, bias):
            y = conv(x, kernel, bias, **settings)
            by_products = conv_im2col(x, kernel, bias, **settings)
            dy = jnp.cos(y)
            backward = conv_backward(x, kernel, dy, **settings)
            return (y, *backward), (by_products, *conv_im2col_backward(x, kernel, dy, **settings))

        for one, other in zip(*both(x, kernel, bias), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


def test_an_empty_batch_has_no_rows():
    x, kernel = jnp.ones((0, 5, 6, 2)), jnp.ones((3, 3, 2, 4))
    assert im2col(x, (3, 3)).shape == (0, 18)
    assert conv_im2col(x, kernel).shape == (0, 5, 6, 4)
    dx, dkernel, dbias = conv_im2col_backward(x, kernel, jnp.ones((0, 5, 6, 4)))
    assert dx.shape == x.shape
    assert not dkernel.any()
    assert not dbias.any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: im2col(x[0, 0], (3, 3)), r"im2col: x \(4, 1\) needs 2 spatial axes and channe"),
        (lambda x: im2col(x, (5, 3), padding="VALID"), r"im2col: the window of 5 is larger"),
        (lambda x: im2col(x, (3, 3), stride=0), r"im2col: stride=0 must be"),
        (
            lambda x: col2im(jnp.ones((4, 4)), x.shape, (2, 2)),
            r"col2im: patches \(4, 4\) for x \(1, 4, 4, 1\): need \(16, 4\)",
        ),
        (lambda x: conv_im2col(x, jnp.ones((3, 3, 2, 4))), r"conv_im2col: x has 1 channels"),
        (
            lambda x: conv_im2col_backward(x, jnp.ones((3, 3, 1, 4)), jnp.ones((1, 4, 3, 4))),
            r"conv_im2col_backward: dy \(1, 4, 3, 4\) .* output is \(1, 4, 4, 4\)",
        ),
    ],
)
def test_what_cannot_be_is_named(call, message):
    with pytest.raises(UserError, match=message):
        call(jnp.ones((1, 4, 4, 1)))
