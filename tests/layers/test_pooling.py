"""Pooling against plain loops, the hand example of the lecture, and XLA's own gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnlab.errors import UserError
from cnnlab.layers.pooling import avg_pool, max_pool

HAND = np.array([[1, 3, 2, 4], [5, 6, 7, 8], [9, 2, 1, 0], [3, 4, 5, 6]], np.float32)


def images(*shape, seed=0, relu=False, dtype=jnp.float32):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return jnp.asarray(np.maximum(x, 0) if relu else x, dtype)


def native(x, window, stride):
    """XLA's max-pooling, whose gradient is select-and-scatter."""
    return lax.reduce_window(
        x,
        -np.array(np.inf, x.dtype),
        lax.max,
        (1, window, window, 1),
        (1, stride, stride, 1),
        "VALID",
    )


def pulled_back(pool, x, dy):
    """Return the pooled values and the gradient of x for the gradient dy."""

    @jax.jit
    def both(x, dy):
        y, pullback = jax.vjp(pool, x)
        return y, pullback(dy)[0]

    return both(x, dy)


def loop_max(x, window, stride):
    """Plain loops: values, and the first largest place of each window in row-major order."""
    b, h, w, c = x.shape
    ho, wo = (h - window[0]) // stride[0] + 1, (w - window[1]) // stride[1] + 1
    y, where = np.zeros((b, ho, wo, c), x.dtype), {}
    for at in np.ndindex(b, ho, wo, c):
        n, i, j, k = at
        top, left = i * stride[0], j * stride[1]
        patch = x[n, top : top + window[0], left : left + window[1], k]
        u, v = np.unravel_index(patch.argmax(), patch.shape)
        y[at], where[at] = patch[u, v], (n, top + u, left + v, k)
    return y, where


def routed(dy, where, shape):
    dx = np.zeros(shape, np.float32)
    for at, place in where.items():
        dx[place] += dy[at]
    return dx


def test_max_pool_of_the_hand_example_and_its_gradient():
    x = jnp.asarray(HAND)[None, ..., None]
    dy = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, ..., None]
    y, dx = pulled_back(lambda x: max_pool(x, 2, 2), x, dy)
    np.testing.assert_array_equal(y[0, ..., 0], [[6, 8], [9, 6]])
    np.testing.assert_array_equal(
        dx[0, ..., 0], [[0, 0, 0, 0], [0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 0, 4]]
    )


def test_avg_pool_of_the_hand_example_and_its_gradient():
    x = jnp.asarray(HAND)[None, ..., None]
    dy = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, ..., None]
    y, dx = pulled_back(lambda x: avg_pool(x, 2, 2), x, dy)
    np.testing.assert_array_equal(y[0, ..., 0], [[3.75, 5.25], [4.5, 3]])
    np.testing.assert_array_equal(dx[0, ..., 0], np.kron([[1, 2], [3, 4]], np.ones((2, 2))) / 4)


@pytest.mark.parametrize("window", [(2, 2), (1, 2), (3, 2), (3, 3)])
@pytest.mark.parametrize("relu", [False, True])
def test_tiles_send_the_gradient_to_the_first_largest_value(window, relu):
    # 7 and 8: rows and columns that fill no window get no gradient.
    x = images(2, 7, 8, 3, relu=relu)
    expected, where = loop_max(np.asarray(x), window, window)
    dy = images(*expected.shape, seed=1)
    y, dx = pulled_back(lambda x: max_pool(x, window, window), x, dy)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(dx, routed(np.asarray(dy), where, x.shape))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_tiles_equal_the_native_form_bit_for_bit(dtype):
    x, dy = images(2, 9, 6, 5, relu=True, dtype=dtype), images(2, 4, 3, 5, seed=1, dtype=dtype)
    ours = pulled_back(lambda x: max_pool(x, 2, 2), x, dy)
    for one, other in zip(ours, pulled_back(lambda x: native(x, 2, 2), x, dy), strict=True):
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, other)


def test_windows_full_of_ties_have_one_winner():
    x = jnp.zeros((1, 4, 4, 1))
    _, dx = pulled_back(lambda x: max_pool(x, 2, 2), x, jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(dx[0, ..., 0], np.kron(np.ones((2, 2)), [[1, 0], [0, 0]]))


def test_overlapping_windows_equal_a_plain_loop():
    x = images(2, 7, 9, 2)
    expected, where = loop_max(np.asarray(x), (3, 3), (2, 2))
    dy = np.ones_like(expected)
    y, dx = pulled_back(lambda x: max_pool(x, 3, 2), x, dy)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(dx, routed(dy, where, x.shape))


def test_same_padding_never_wins_even_over_negative_values():
    x = -1 - jnp.abs(images(1, 5, 5, 1))
    y = max_pool(x, 2, 2, "SAME")
    assert y.shape == (1, 3, 3, 1)
    assert y[0, 2, 2, 0] == x[0, 4, 4, 0]
    np.testing.assert_array_equal(y, max_pool(x, 2, 2, ((0, 1), (0, 1))))


def test_average_over_padding_counts_zeros_or_leaves_them_out():
    x = jnp.ones((1, 3, 3, 1))
    with_zeros = avg_pool(x, 2, 2, "SAME")[0, ..., 0]
    np.testing.assert_allclose(with_zeros, [[1, 0.5], [0.5, 0.25]])
    without = avg_pool(x, 2, 2, "SAME", count_include_pad=False)[0, ..., 0]
    np.testing.assert_allclose(without, np.ones((2, 2)))


def test_a_nan_is_passed_on():
    x = images(1, 4, 4, 1).at[0, 0, 1, 0].set(jnp.nan).at[0, 3, 3, 0].set(jnp.nan)
    isnan = jnp.isnan(max_pool(x, 2, 2))[0, ..., 0]
    np.testing.assert_array_equal(isnan, [[True, False], [False, True]])


def test_jit_vmap_and_pmap_agree_with_the_plain_gradient():
    x = images(4, 2, 6, 6, 3, relu=True)

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(max_pool(x, 2, 2) ** 2))(x)

    expected = np.stack([gradient(one) for one in x])
    for transformed in (jax.jit(jax.vmap(gradient)), jax.pmap(gradient), jax.jit(gradient)):
        np.testing.assert_array_equal(transformed(x), expected)


def test_second_derivatives_equal_the_native_ones():
    x = images(1, 4, 6, 2)

    def hessian_product(pool):
        def slope(x):
            return jnp.sum(jax.grad(lambda x: jnp.sum(pool(x) ** 3))(x) ** 2)

        return jax.jit(jax.grad(slope))(x)

    np.testing.assert_array_equal(
        hessian_product(lambda x: max_pool(x, 2, 2)),
        hessian_product(lambda x: native(x, 2, 2)),
    )


@pytest.mark.parametrize(("platform", "uses"), [("cpu", False), ("cuda", True), ("tpu", True)])
def test_only_the_cpu_program_avoids_select_and_scatter(platform, uses):
    gradient = jax.jit(jax.grad(lambda x: max_pool(x, 2, 2).sum()))
    text = gradient.trace(jnp.zeros((1, 4, 4, 1))).lower(lowering_platforms=(platform,)).as_text()
    assert ("select_and_scatter" in text) == uses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 2), "window=0"), ((2, 0), "stride=0"), ((2, 2, "FULL"), "FULL"), ((5, 1), "4 high")],
)
def test_impossible_geometry_is_named(arguments, message):
    with pytest.raises(UserError, match=message):
        max_pool(jnp.zeros((1, 4, 6, 1)), *arguments)
