"""Which lowering of pooling is used on which platform; all are one function."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.pooling.cpu import native_max, native_sum, window_max, window_sum, winners
from cnnlab.layers.pooling.windows import windows_of


def whole(*shape, seed=0, most=5):
    return jnp.asarray(np.random.default_rng(seed).integers(0, most, shape), jnp.float32)


@pytest.mark.parametrize(("own", "xla"), [(window_max, native_max), (window_sum, native_sum)])
@pytest.mark.parametrize("shape", [(1, 9, 2), (1, 6, 7, 2), (1, 5, 4, 6, 2)])
@pytest.mark.sample(2)
def test_the_lowerings_agree_for_all_windows(own, xla, shape):
    axes = len(shape) - 2
    x, t = whole(*shape), whole(*shape, seed=1, most=9)
    windows = [
        windows_of(x, (k,) * axes, s, p, ceil_mode=ceil, layer="l")
        for k, s, p, ceil in [(3, 2, 1, True), (3, 1, 1, False), (2, 3, 1, True), (2, 2, 0, False)]
    ]

    @jax.jit
    def results(x, t):
        found = []
        for w, pool in itertools.product(windows, (own, xla)):
            y, pullback = jax.vjp(lambda x, pool=pool, w=w: pool(x, w), x)
            found.append((y, pullback(jnp.round(y * 3 + 1))[0]))
        return found

    found = results(x, t)
    for one, other in zip(found[::2], found[1::2], strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_winners_write_their_place_in_digits():
    x = jnp.zeros((1, 6, 6, 1)).at[0, 1, 2, 0].set(1).at[0, 5, 3, 0].set(2)
    windows = windows_of(x, 3, 3, layer="l")
    code = winners(x, window_max(x, windows), windows)[0, ..., 0]
    # The base is 3 + 2 * 3; a window without a largest value has its first place.
    np.testing.assert_array_equal(code, [[1 * 9 + 2, 0], [0, 2 * 9 + 0]])


def test_codes_too_large_for_an_exact_root_are_whole_numbers():
    x = whole(1, 3001, 3001, 1, most=2)[:, :, :2]
    windows = windows_of(x, 2, 1, dilation=(3000, 1), layer="l")
    assert winners(x, x[:, :1, :1], windows).dtype == jnp.int32


def lowered(pool, platform):
    gradient = jax.jit(jax.grad(lambda x: pool(x).sum()))
    x = jnp.zeros((1, 6, 6, 1))
    return gradient.trace(x).lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(("platform", "uses"), [("cpu", False), ("cuda", True), ("tpu", True)])
@pytest.mark.parametrize("stride", [1, 2])
def test_only_the_cpu_program_avoids_xlas_reductions(platform, uses, stride):
    windows = windows_of(jnp.zeros((1, 6, 6, 1)), 2, stride, layer="l")
    assert ("select_and_scatter" in lowered(lambda x: window_max(x, windows), platform)) == uses
    assert ("reduce_window" in lowered(lambda x: window_sum(x, windows), platform)) == uses


def test_a_window_of_many_taps_is_left_to_xla():
    windows = windows_of(jnp.zeros((1, 12, 12, 1)), 9, 1, layer="l")

    def forward(pool):
        return jax.jit(pool).lower(jnp.zeros((1, 12, 12, 1))).as_text()

    assert "reduce_window" in forward(lambda x: window_max(x, windows))
    assert "reduce_window" in forward(lambda x: window_sum(x, windows))
