"""The backward passes of pooling, written out, equal the hand example and jax.vjp."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.pooling.pool import avg_pool, max_pool
from cnnlab.layers.pooling.pool_backward import avg_pool_backward, max_pool_backward

HAND = np.array([[1, 3, 2, 4], [5, 6, 7, 8], [9, 2, 1, 0], [3, 4, 5, 6]], np.float32)
GEOMETRIES = [
    dict(window=2),
    dict(window=3, stride=2, padding=1),
    dict(window=3, stride=1, padding="SAME"),
    dict(window=3, stride=2, ceil_mode=True),
    dict(window=2, stride=3, padding=1, ceil_mode=True),
    dict(window=(3, 2), stride=(1, 2), padding=((0, 2), (1, 0))),
]


def image(x):
    return jnp.asarray(x, jnp.float32)[None, ..., None]


def test_the_hand_example_routes_to_the_largest_and_spreads_means():
    x, dy = image(HAND), image([[1, 2], [3, 4]])
    np.testing.assert_array_equal(
        max_pool_backward(x, dy, 2)[0, ..., 0],
        [[0, 0, 0, 0], [0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 0, 4]],
    )
    np.testing.assert_array_equal(
        avg_pool_backward(x, dy, 2)[0, ..., 0], np.kron([[1, 2], [3, 4]], np.ones((2, 2))) / 4
    )


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    ("pool", "backward"), [(max_pool, max_pool_backward), (avg_pool, avg_pool_backward)]
)
@pytest.mark.sample(4)
def test_the_backward_pass_is_the_gradient(pool, backward, geometry):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(0, 3, (2, 2, 7, 8, 3)), jnp.float32)
    y, pullback = jax.vjp(lambda x: pool(x, **geometry), x)
    dy = jnp.asarray(rng.integers(-9, 9, y.shape), jnp.float32)
    ours = jax.jit(lambda x, dy: backward(x, dy, **geometry))(x, dy)
    np.testing.assert_allclose(ours, pullback(dy)[0], rtol=1e-5, atol=1e-5)


def test_dilation_and_counting_only_true_values():
    x = jnp.asarray(np.random.default_rng(0).integers(0, 3, (2, 7, 8, 3)), jnp.float32)
    y, pullback = jax.vjp(lambda x: max_pool(x, 3, 2, 1, dilation=2), x)
    ours = jax.jit(lambda x, y: max_pool_backward(x, y, 3, 2, 1, dilation=2))(x, y)
    np.testing.assert_array_equal(ours, pullback(y)[0])
    y, pullback = jax.vjp(lambda x: avg_pool(x, 3, 2, 1, count_include_pad=False), x)
    ours = jax.jit(lambda x, y: avg_pool_backward(x, y, 3, 2, 1, count_include_pad=False))(x, y)
    np.testing.assert_allclose(ours, pullback(y)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backward", [max_pool_backward, avg_pool_backward])
def test_a_gradient_of_another_shape_is_named(backward):
    with pytest.raises(UserError, match=r"dy \(1, 3, 3, 1\).*\(1, 2, 2, 1\)"):
        backward(jnp.zeros((1, 4, 4, 1)), jnp.zeros((1, 3, 3, 1)), 2)
