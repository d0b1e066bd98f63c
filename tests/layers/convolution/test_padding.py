"""Amounts of padding, fills against numpy.pad, and the adjoint of padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import pad, pad_constant, pads_of, span, unpad


def test_amounts_are_for_all_axes_or_each_or_each_end():
    def amounts(padding):
        return pads_of(padding, (9, 9), (3, 3), (1, 1), (1, 1), "conv")

    assert amounts(2) == ((2, 2), (2, 2))
    assert amounts((1, 2)) == ((1, 1), (2, 2))
    assert amounts([[1, 2], [0, 3]]) == ((1, 2), (0, 3))
    assert amounts((1, (0, 2))) == ((1, 1), (0, 2))
    assert [span(3, d) for d in (1, 2, 4)] == [3, 5, 9]


def test_a_constant_is_added_at_the_ends_and_negative_amounts_crop():
    x = jnp.arange(12.0).reshape(1, 3, 4, 1)
    expected = np.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)), constant_values=7)[:, :, 2:]
    np.testing.assert_array_equal(pad_constant(x, ((1, 0), (-2, 0)), 7), expected)


@pytest.mark.parametrize(("fill", "mode"), [("zeros", "constant"), ("circular", "wrap")])
def test_fills_are_those_of_numpy(fill, mode):
    x = np.arange(2 * 3 * 4 * 2.0).reshape(2, 3, 4, 2)
    for pads in (((0, 0), (0, 0)), ((1, 2), (0, 3)), ((3, 0), (4, 4))):
        expected = np.pad(x, ((0, 0), *pads, (0, 0)), mode)
        np.testing.assert_array_equal(pad(jnp.asarray(x), pads, fill), expected)


def test_reflection_does_not_repeat_the_outermost_value():
    x = jnp.asarray([1.0, 2, 3, 4])[:, None]
    expected = [3, 2, 1, 2, 3, 4, 3, 2, 1]
    np.testing.assert_array_equal(pad(x, ((2, 3),), "reflect")[:, 0], expected)


@pytest.mark.parametrize(
    ("pads", "fill", "message"),
    [
        (((0, 5), (0, 0)), "circular", r"pad: padding \(0, 5\) with padding_mode='circular' .* 4"),
        (((0, 0), (3, 0)), "reflect", r"pad: padding \(3, 0\) with padding_mode='reflect' .* 3 "),
        (((0, 0), (0, 0)), "mirror", r"padding_mode='mirror' is none of zeros, circular, reflect"),
    ],
)
def test_a_fill_that_cannot_be_is_named(pads, fill, message):
    with pytest.raises(UserError, match=message):
        pad(jnp.ones((2, 4, 3, 1)), pads, fill)


@pytest.mark.parametrize("fill", ["zeros", "circular", "reflect"])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_unpad_is_the_adjoint_of_pad(fill, lead):
    pads = ((1, 2), (0, 3))
    x = jax.random.normal(jax.random.key(0), (*lead, 4, 5, 2))
    padded = pad(x, pads, fill)
    dy = jax.random.normal(jax.random.key(1), padded.shape)
    dx = unpad(dy, pads, fill)
    np.testing.assert_allclose(jnp.vdot(padded, dy), jnp.vdot(x, dx), rtol=1e-5)
    expected = jax.vjp(lambda x: pad(x, pads, fill), x)[1](dy)[0]
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-6)
