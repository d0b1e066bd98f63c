"""Local response normalization against loops over maps, its gradient, both conventions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.normalization.local_response import (
    LocalResponseNorm,
    local_response_norm,
    local_response_norm_backward,
)

STRONG = dict(k=1.5, alpha=0.3)


def maps(seed=0, channels=7, dtype=jnp.float32):
    return 3 * jax.random.normal(jax.random.key(seed), (2, 3, 2, channels), dtype)


def loop(x, n, k, alpha, beta, average):
    x, channels = np.asarray(x, np.float64), x.shape[-1]
    y = np.empty_like(x)
    for c in range(channels):
        window = [j for j in range(c - n // 2, c + (n - 1) // 2 + 1) if 0 <= j < channels]
        energy = sum(x[..., j] ** 2 for j in window)
        y[..., c] = x[..., c] / (k + alpha / (n if average else 1) * energy) ** beta
    return y


@pytest.mark.parametrize(
    ("n", "k", "alpha", "beta", "average"),
    [
        (5, 2.0, 1e-4, 0.75, False),
        (5, 2.0, 1e-1, 0.75, True),
        (3, 1.0, 1.0, 0.5, False),
        (4, 1.0, 0.3, 1.0, True),
        (1, 0.5, 0.3, 0.6, False),
        (20, 1.0, 0.3, 0.75, False),
    ],
)
def test_each_map_is_divided_by_the_energy_of_its_neighbors(n, k, alpha, beta, average):
    y = local_response_norm(maps(), n=n, k=k, alpha=alpha, beta=beta, average=average)
    np.testing.assert_allclose(y, loop(maps(), n, k, alpha, beta, average), rtol=1e-5, atol=1e-6)


def test_the_constants_of_the_paper_are_the_defaults():
    expected = loop(100 * maps(), 5, 2.0, 1e-4, 0.75, False)
    np.testing.assert_allclose(local_response_norm(100 * maps()), expected, rtol=1e-5)
    np.testing.assert_allclose(LocalResponseNorm().apply({}, 100 * maps()), expected, rtol=1e-5)


@pytest.mark.parametrize("n", [4, 5])
@pytest.mark.parametrize("average", [False, True])
def test_the_written_gradient_equals_automatic_differentiation(n, average):
    with jax.enable_x64(True):
        x, dy = (maps(seed, dtype=jnp.float64) for seed in (0, 1))
        arguments = dict(**STRONG, n=n, average=average, beta=0.7)
        _, pull = jax.vjp(partial(local_response_norm, **arguments), x)
        written = local_response_norm_backward(x, dy, **arguments)
        np.testing.assert_allclose(written, pull(dy)[0], rtol=1e-10, atol=1e-12)


def test_first_and_second_derivatives_forwards_and_backwards():
    with jax.enable_x64(True):

        def function(x):  # check_grads passes numpy arrays.
            return local_response_norm(jnp.asarray(x), **STRONG, n=3)

        x = maps(channels=4, dtype=jnp.float64)[:1, :1]
        check_grads(jax.jit(function), (x,), order=2, modes=("fwd", "rev"), rtol=1e-6, atol=1e-6)


def test_large_values_in_half_precision_do_not_overflow():
    x = jnp.full((1, 5), 1e4, jnp.float16)
    try:
        x.astype(jnp.float32)
    except jax.errors.JaxRuntimeError:
        pytest.skip("XLA compiles no float16 for x86 without F16C")
    y = local_response_norm(x)
    assert y.dtype == jnp.float16
    expected = loop(x, 5, 2.0, 1e-4, 0.75, False)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=2e-3)


def test_no_maps_and_no_examples_give_empty_results():
    assert local_response_norm(jnp.zeros((0, 2, 2, 3))).shape == (0, 2, 2, 3)
    assert local_response_norm(jnp.zeros((2, 2, 2, 0))).shape == (2, 2, 2, 0)


@pytest.mark.parametrize("function", [local_response_norm, LocalResponseNorm(n=0).apply])
def test_a_window_without_maps_is_named(function):
    arguments = [maps()] if function is local_response_norm else [{}, maps()]
    keywords = {"n": 0} if function is local_response_norm else {}
    with pytest.raises(UserError, match="n=0 must be at least 1"):
        function(*arguments, **keywords)
