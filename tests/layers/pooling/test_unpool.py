"""Unpooling: the hand example, adjoints, and the way there and back through max pooling."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.layers.pooling.unpool import (
    BedOfNails,
    NearestUnpool,
    Unpool,
    bed_of_nails_unpool,
    bed_of_nails_unpool_backward,
    max_pool_with_switches,
    nearest_unpool,
    nearest_unpool_backward,
    unpool,
    unpool_backward,
)


@partial(jax.jit, static_argnums=(1, 2, 3), static_argnames="ceil_mode")
def pooled(x, window, stride=None, padding="VALID", ceil_mode=False):
    return max_pool_with_switches(x, window, stride, padding, ceil_mode=ceil_mode)


HAND = np.array([[1, 3, 2, 4], [5, 6, 7, 8], [9, 2, 1, 0], [3, 4, 5, 6]], np.float32)


def image(x):
    return jnp.asarray(x, jnp.float32)[None, ..., None]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_the_hand_example():
    y, switches = pooled(image(HAND), 2)
    np.testing.assert_array_equal(switches[0, ..., 0], [[5, 7], [8, 15]])
    np.testing.assert_array_equal(
        unpool(y, switches, (4, 4))[0, ..., 0],
        [[0, 0, 0, 0], [0, 6, 0, 8], [9, 0, 0, 0], [0, 0, 0, 6]],
    )


def test_blocks_and_nails():
    x = image([[1, 2], [3, 4]])
    np.testing.assert_array_equal(
        nearest_unpool(x)[0, ..., 0], [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    )
    np.testing.assert_array_equal(
        bed_of_nails_unpool(x, (1, 3))[0, ..., 0], [[1, 0, 0, 2, 0, 0], [3, 0, 0, 4, 0, 0]]
    )


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_values_are_those_at_the_switches(axes):
    x = jnp.round(3 * normal(2, 3, *(5, 6, 7)[:axes], 2))
    y, switches = pooled(x, (3,) * axes, 2, 1, ceil_mode=True)
    columns = x.reshape(2, 3, -1, 2)
    read = jnp.take_along_axis(columns, switches.reshape(2, 3, -1, 2), 2)
    np.testing.assert_array_equal(read.reshape(y.shape), y)
    np.testing.assert_array_equal(y, max_pool(x, (3,) * axes, 2, 1, ceil_mode=True))


def test_switches_never_point_into_the_padding():
    x = jnp.full((1, 3, 3, 1), -jnp.inf)
    _, switches = pooled(x, 2, 2, 1)
    np.testing.assert_array_equal(switches[0, ..., 0], [[0, 1], [3, 4]])
    least = jnp.full((1, 3, 3, 1), jnp.iinfo(jnp.int32).min)
    np.testing.assert_array_equal(pooled(least, 2, 2, 1)[1], switches)


def test_a_switch_points_at_a_nan():
    x = image(HAND).at[0, 0, 1, 0].set(jnp.nan)
    assert pooled(x, 2)[1][0, 0, 0, 0] == 1


def test_unpooling_by_switches_is_the_gradient_of_max_pooling():
    x = jnp.maximum(normal(2, 6, 8, 3), 0)
    y, pullback = jax.vjp(lambda x: max_pool(x, 2), x)
    dy = normal(*y.shape, seed=1)
    _, switches = pooled(x, 2)
    np.testing.assert_array_equal(unpool(dy, switches, (6, 8)), pullback(dy)[0])


def test_pooling_what_was_unpooled_gives_it_back():
    x = 1 + jnp.abs(normal(2, 6, 6, 3))
    y, switches = pooled(x, 2)
    again, there = pooled(unpool(y, switches, (6, 6)), 2)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(there, switches)


def test_the_last_of_those_who_name_one_place_is_there_and_has_its_gradient():
    y, switches = jnp.array([[[1.0], [2.0], [3.0]]]), jnp.array([[[4], [1], [4]]])
    out, pullback = jax.vjp(lambda y: unpool(y, switches, (5,)), y)
    np.testing.assert_array_equal(out[0, :, 0], [0, 2, 0, 0, 3])
    dout = jnp.arange(1.0, 6)[None, :, None]
    np.testing.assert_array_equal(pullback(dout)[0][0, :, 0], [0, 2, 5])
    np.testing.assert_array_equal(unpool_backward(dout, switches, (5,)), pullback(dout)[0])


@pytest.mark.parametrize("window", [2, 3])
def test_the_backward_pass_of_switches_is_the_gradient(window):
    y, switches = pooled(jnp.round(normal(2, 2, 7, 7, 3)), window, 2)
    out, pullback = jax.vjp(lambda y: unpool(y, switches, (7, 7)), y)
    dout = normal(*out.shape, seed=1)
    np.testing.assert_array_equal(unpool_backward(dout, switches, (7, 7)), pullback(dout)[0])


@pytest.mark.parametrize("factor", [2, (3,), (2, 3), (1, 2, 2)])
@pytest.mark.parametrize(
    ("way", "backward"),
    [
        (nearest_unpool, nearest_unpool_backward),
        (bed_of_nails_unpool, bed_of_nails_unpool_backward),
    ],
)
def test_the_backward_pass_of_blocks_is_the_gradient(way, backward, factor):
    y = normal(2, 2, 3, 4, 3)
    out, pullback = jax.vjp(lambda y: way(y, factor), y)
    dout = normal(*out.shape, seed=1)
    expected = pullback(dout)[0]
    np.testing.assert_allclose(backward(dout, factor), expected, rtol=1e-5, atol=1e-6)


def test_vmap_jit_and_an_empty_batch():
    x = normal(3, 2, 4, 4, 2)

    def there_and_back(x):
        return unpool(*pooled(x, 2), (4, 4))

    np.testing.assert_array_equal(jax.jit(jax.vmap(there_and_back))(x), there_and_back(x))
    assert there_and_back(x[:0]).shape == (0, 2, 4, 4, 2)


def test_modules_are_the_functions():
    x = normal(2, 4, 4, 3)
    y, switches = pooled(x, 2)
    np.testing.assert_array_equal(
        Unpool((4, 4)).apply({}, y, switches), unpool(y, switches, (4, 4))
    )
    np.testing.assert_array_equal(NearestUnpool(3).apply({}, y), nearest_unpool(y, 3))
    np.testing.assert_array_equal(BedOfNails(3).apply({}, y), bed_of_nails_unpool(y, 3))


def test_what_does_not_fit_is_named():
    y, switches = pooled(image(HAND), 2)
    with pytest.raises(UserError, match="must have one shape"):
        unpool(y[:, :1], switches, (4, 4))
    with pytest.raises(UserError, match="needs 4 spatial axes"):
        unpool(y, switches, (1, 1, 4, 4))
    with pytest.raises(UserError, match="factor=0"):
        nearest_unpool(y, 0)
    with pytest.raises(UserError, match="needs 4 spatial axes"):
        bed_of_nails_unpool(y, (1, 1, 2, 2))
    with pytest.raises(UserError, match="not made of blocks"):
        nearest_unpool_backward(y, 3)
