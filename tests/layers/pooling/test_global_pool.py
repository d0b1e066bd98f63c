"""Global pooling against numpy, and its gradients written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.pooling.global_pool import (
    GlobalAvgPool,
    GlobalMaxPool,
    global_avg_pool,
    global_avg_pool_backward,
    global_max_pool,
    global_max_pool_backward,
)

POOLS = [
    (global_avg_pool, global_avg_pool_backward, np.mean),
    (global_max_pool, global_max_pool_backward, np.max),
]


def maps(*shape, seed=0):
    # Few different values: windows full of ties.
    x = np.random.default_rng(seed).integers(0, 4, shape)
    return jnp.asarray(x, jnp.float32)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("pool", "backward", "reduction"), POOLS)
def test_maps_are_reduced_over_the_axes_asked_for(pool, backward, reduction, axes):
    x = maps(2, 3, 4, 5, 6)
    over = tuple(range(4 - axes, 4))
    np.testing.assert_allclose(pool(x, axes), reduction(np.asarray(x), over), rtol=1e-6)


@pytest.mark.parametrize(("pool", "backward", "reduction"), POOLS)
def test_the_backward_pass_written_out_is_the_gradient(pool, backward, reduction):
    x, dy = maps(2, 4, 5, 3), maps(2, 3, seed=1)
    np.testing.assert_allclose(backward(x, dy), jax.vjp(pool, x)[1](dy)[0], rtol=1e-6)


def test_the_first_of_equal_values_has_all_of_the_gradient():
    dx = jax.grad(lambda x: global_max_pool(x).sum())(jnp.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(dx[0, ..., 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize(("pool", "backward", "reduction"), POOLS)
def test_derivatives_equal_finite_differences(pool, backward, reduction):
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).permutation(24).reshape(2, 3, 4, 1) / 6)
        check_grads(jax.jit(lambda x: pool(x) ** 2), (x,), order=2, eps=1e-4)


def test_a_nan_is_passed_on_and_has_the_gradient():
    x = jnp.ones((1, 2, 2, 1)).at[0, 1, 0, 0].set(jnp.nan)
    y, pullback = jax.vjp(global_max_pool, x)
    assert jnp.isnan(y).all()
    np.testing.assert_array_equal(pullback(jnp.ones((1, 1)))[0][0, ..., 0], [[0, 0], [1, 0]])


def test_half_precision_is_averaged_in_single():
    assert global_avg_pool(jnp.ones((1, 24, 24, 1), jnp.bfloat16)) == 1


def test_whole_numbers_have_a_largest_one():
    assert global_max_pool(jnp.arange(-9, 3).reshape(1, 3, 4, 1)) == 2


def test_modules_are_the_functions():
    x = maps(2, 3, 4, 5)
    np.testing.assert_array_equal(GlobalAvgPool(1).apply({}, x), global_avg_pool(x, 1))
    np.testing.assert_array_equal(GlobalMaxPool().apply({}, x), global_max_pool(x))


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ((4, 3), 2, "needs 2 spatial axes"),
        ((1, 4, 4, 3), 4, "axes=4"),
        ((1, 0, 4, 3), 2, "without values"),
    ],
)
@pytest.mark.parametrize("pool", [global_avg_pool, global_max_pool])
def test_what_has_no_maximum_or_mean_is_named(pool, shape, axes, message):
    with pytest.raises(UserError, match=message):
        pool(jnp.zeros(shape), axes)


def test_an_empty_batch_is_empty():
    assert global_avg_pool(jnp.zeros((0, 4, 4, 3))).shape == (0, 3)
    assert global_max_pool(jnp.zeros((0, 4, 4, 3))).shape == (0, 3)
