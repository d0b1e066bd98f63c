"""The offsets of boxes from references, as R-CNN's appendix has them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.geometry.box_coder import REGION, decode, encode

REFERENCE = np.array([[10.0, 20.0, 30.0, 60.0]])


def boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 50, (count, 2))
    return np.concatenate([start, start + rng.uniform(1, 40, (count, 2))], axis=1)


def test_offsets_by_hand():
    # Center from (20, 40) to (25, 48), sides from 20 x 40 to 10 x 80.
    box = np.array([[20.0, 8.0, 30.0, 88.0]])
    expected = [5 / 20, 8 / 40, math.log(1 / 2), math.log(2)]
    np.testing.assert_allclose(encode(box, REFERENCE)[0], expected, rtol=1e-6)
    weighted = np.multiply(expected, [10, 10, 5, 5])
    np.testing.assert_allclose(encode(box, REFERENCE, REGION)[0], weighted, rtol=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), REGION])
def test_decoding_inverts_encoding(weights):
    found, references = boxes(200), boxes(200, 1)
    offsets = jax.jit(encode, static_argnums=2)(found, references, weights)
    np.testing.assert_allclose(decode(offsets, references, weights), found, rtol=1e-4, atol=1e-4)


def test_no_side_grows_beyond_the_limit():
    wild = jnp.array([[0.0, 0.0, 50.0, 50.0]])
    y0, x0, y1, x1 = np.asarray(decode(wild, REFERENCE))[0]
    assert y1 - y0 == pytest.approx(20 * 1000 / 16) and x1 - x0 == pytest.approx(40 * 1000 / 16)


def test_empty_boxes_and_references_have_finite_offsets_and_gradients():
    empty = jnp.zeros((1, 4))
    for pair in ((empty, REFERENCE), (REFERENCE, empty), (empty, empty)):
        first, second = map(jnp.asarray, pair)
        value, slope = jax.value_and_grad(lambda box, r=second: encode(box, r).sum())(first)
        assert np.isfinite(value) and np.isfinite(slope).all()
