"""Pooling against plain loops, the hand example of the lecture, and XLA's own gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.pooling.pool import AvgPool, MaxPool, avg_pool, max_pool

HAND = np.array([[1, 3, 2, 4], [5, 6, 7, 8], [9, 2, 1, 0], [3, 4, 5, 6]], np.float32)


def images(*shape, seed=0, relu=False, dtype=jnp.float32):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return jnp.asarray(np.maximum(x, 0) if relu else x, dtype)


def native(x, window, stride, pads=0):
    """XLA's max-pooling, whose gradient is select-and-scatter."""
    return lax.reduce_window(
        x,
        -np.array(np.inf, x.dtype),
        lax.max,
        (1, window, window, 1),
        (1, stride, stride, 1),
        ((0, 0), (pads, pads), (pads, pads), (0, 0)),
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

    # Products of four factors: rounded in either order, or once where they are fused with sums.
    np.testing.assert_allclose(
        hessian_product(lambda x: max_pool(x, 2, 2)),
        hessian_product(lambda x: native(x, 2, 2)),
        rtol=1e-6,
    )


@pytest.mark.parametrize(("platform", "uses"), [("cpu", False), ("cuda", True), ("tpu", True)])
def test_only_the_cpu_program_avoids_select_and_scatter(platform, uses):
    gradient = jax.jit(jax.grad(lambda x: max_pool(x, 2, 2).sum()))
    text = gradient.trace(jnp.zeros((1, 4, 4, 1))).lower(lowering_platforms=(platform,)).as_text()
    assert ("select_and_scatter" in text) == uses


@pytest.mark.parametrize(
    ("window", "stride", "pads"),
    # 3x3, 2 apart: few shifts, padded one by one; the others: padded once; 1x1: gaps.
    [(3, 2, 0), (3, 2, 1), (3, 1, 1), (2, 1, 1), (3, 3, 1), (5, 2, 2), (1, 2, 0), (9, 1, 4)],
)
def test_shifted_slices_equal_the_native_form_bit_for_bit(window, stride, pads):
    x = images(2, 9, 10, 3, relu=True)
    expected = native(x, window, stride, pads)
    # Whole numbers, so that the order of adding up makes no difference.
    dy = jnp.round(8 * images(*expected.shape, seed=1))
    ours = pulled_back(lambda x: max_pool(x, window, stride, pads), x, dy)
    theirs = pulled_back(lambda x: native(x, window, stride, pads), x, dy)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_one_and_three_axes_equal_two_with_thin_windows(pool):
    x = images(2, 6, 7, 3)
    line = pool(x[:, :, 0], (3,), (2,))
    np.testing.assert_allclose(line, pool(x[:, :, :1], (3, 1), (2, 1))[:, :, 0], rtol=1e-6)
    clip = images(2, 4, 5, 6, 3)
    depth = pool(clip, (2, 2, 3), 1)
    apart = pool(clip, (2, 3), 1)  # each frame, then along time
    b, t, h, w, c = apart.shape
    along = pool(apart.reshape(b, t, h * w, c), (2, 1), 1).reshape(b, t - 1, h, w, c)
    np.testing.assert_allclose(depth, along, rtol=1e-6, atol=1e-6)


def test_dilated_windows_see_every_other_value():
    x = jnp.round(4 * images(1, 7, 7, 2))

    def by_hand(x):
        return jnp.stack([x[:, i : i + 3, j : j + 3] for i in (0, 2, 4) for j in (0, 2, 4)]).max(0)

    y, dx = pulled_back(lambda x: max_pool(x, 3, 1, dilation=2), x, jnp.ones((1, 3, 3, 2)))
    np.testing.assert_array_equal(y, by_hand(x))
    expected = np.zeros(x.shape)
    for i, j, k in np.ndindex(3, 3, 2):
        seen = np.asarray(x[0, i : i + 5 : 2, j : j + 5 : 2, k])
        u, v = np.unravel_index(seen.argmax(), (3, 3))
        expected[0, i + 2 * u, j + 2 * v, k] += 1
    np.testing.assert_array_equal(dx, expected)


def test_ceil_mode_lets_the_last_window_hang_over():
    x = jnp.asarray(HAND)[None, ..., None]
    np.testing.assert_array_equal(max_pool(x, 3, 2, ceil_mode=True)[0, ..., 0], [[9, 8], [9, 6]])
    np.testing.assert_allclose(
        avg_pool(x, 3, 2, ceil_mode=True)[0, ..., 0], [[4, 11 / 3], [4, 3]], rtol=1e-6
    )


def test_a_last_window_does_not_start_in_the_padding():
    x = images(1, 3, 3, 1)
    assert max_pool(x, 2, 2, 1, ceil_mode=True).shape == (1, 2, 2, 1)


def test_padding_counts_in_the_mean_but_what_hangs_over_does_not():
    # Starts -1, 1, 3 over 4 values: 2 values and a zero; 3 values; 1 value and a zero, and what
    # hangs over makes no third.
    x = jnp.ones((1, 4, 1))
    y = avg_pool(x, (3,), (2,), 1, ceil_mode=True)[0, :, 0]
    np.testing.assert_allclose(y, [2 / 3, 1, 1 / 2], rtol=1e-6)
    y = avg_pool(x, (3,), (2,), 1, ceil_mode=True, count_include_pad=False)[0, :, 0]
    np.testing.assert_allclose(y, [1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.int8])
def test_whole_numbers_are_pooled_and_padding_loses_to_the_least(dtype):
    least = jnp.iinfo(dtype).min
    x = jnp.full((1, 3, 3, 1), least, dtype).at[0, 1, 1, 0].set(5)
    y = max_pool(x, 2, 2, 1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0, ..., 0], [[least, least], [least, 5]])


def test_half_precision_is_summed_in_single():
    # 256 + 1 is no bfloat16: a running sum in it would stay at 256.
    x = jnp.ones((1, 24, 24, 1), jnp.bfloat16)
    assert avg_pool(x, 24)[0, 0, 0, 0] == 1


@pytest.mark.parametrize(("window", "stride", "pads"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (9, 1, 0)])
@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_forward_mode_is_the_adjoint_of_reverse_mode(pool, window, stride, pads):
    x, t = images(2, 9, 9, 2), images(2, 9, 9, 2, seed=1)

    def f(x):
        return pool(x, window, stride, pads)

    @jax.jit
    def both(x, t):
        y, dy = jax.jvp(f, (x,), (t,))
        return jnp.vdot(dy, y), jnp.vdot(jax.vjp(f, x)[1](y)[0], t)

    np.testing.assert_allclose(*both(x, t), rtol=1e-5)


@pytest.mark.parametrize(("window", "stride", "pads"), [(3, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("pool", [max_pool, avg_pool])
@pytest.mark.sample(2)
def test_derivatives_equal_finite_differences(pool, window, stride, pads):
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).permutation(25).reshape(1, 5, 5, 1) / 8)
        check_grads(jax.jit(lambda x: pool(x, window, stride, pads) ** 2), (x,), order=2, eps=1e-4)


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_any_number_of_batch_axes_and_an_empty_batch(pool):
    x = images(2, 3, 6, 6, 4)
    np.testing.assert_array_equal(pool(x, 3, 2)[1, 2], pool(x[1, 2], 3, 2))
    assert pool(x[:0], 3, 2).shape == (0, 3, 2, 2, 4)


def test_modules_are_the_functions():
    x = images(2, 7, 7, 3)
    np.testing.assert_array_equal(
        MaxPool(3, 2, 1, 1, True).apply({}, x), max_pool(x, 3, 2, 1, ceil_mode=True)
    )
    np.testing.assert_array_equal(
        AvgPool(3, 2, 1, True, False).apply({}, x),
        avg_pool(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 2), "window=0"),
        ((2, 0), "stride=0"),
        ((2, 2, "FULL"), "FULL"),
        ((5, 1), "window of 5.*input of 4"),
        ((2, 2, -1), "padding=-1"),
        ((2, 2, 2), "nothing but padding"),
        (((2, 2, 2, 2),), "1 to 3 axes"),
        (((2, 2), (1, 1, 1)), "stride=.1, 1, 1. has 3 numbers for 2 axes"),
    ],
)
def test_impossible_geometry_is_named(arguments, message):
    with pytest.raises(UserError, match=message):
        max_pool(jnp.zeros((1, 4, 6, 1)), *arguments)


def test_a_missing_axis_is_named():
    with pytest.raises(UserError, match="needs 2 spatial axes"):
        avg_pool(jnp.zeros((4, 1)), 2)
