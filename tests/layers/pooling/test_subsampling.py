"""LeNet's subsampling against plain loops; its parameters counted as in the paper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.pooling.pool import avg_pool
from cnnlab.layers.pooling.subsampling import Subsampling, subsample, subsample_backward


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize(("window", "stride"), [(2, None), (3, 2), (2, 1)])
def test_a_map_is_its_coefficient_times_the_sums_plus_its_bias(window, stride):
    x, a, b = normal(2, 6, 7, 3), normal(3, seed=1), normal(3, seed=2)
    y, step = subsample(x, a, b, window, stride), stride or window
    for n, i, j, c in np.ndindex(*y.shape):
        seen = x[n, i * step : i * step + window, j * step : j * step + window, c]
        np.testing.assert_allclose(y[n, i, j, c], a[c] * seen.sum() + b[c], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(2, None), (3, 2), (2, 1)])
@pytest.mark.sample(1)
def test_the_backward_pass_written_out_is_the_gradient(window, stride):
    x, a, b = normal(2, 2, 6, 7, 3), normal(3, seed=1), normal(3, seed=2)
    y, pullback = jax.vjp(lambda x, a, b: subsample(x, a, b, window, stride), x, a, b)
    dy = normal(*y.shape, seed=3)
    ours = subsample_backward(x, a, dy, window, stride)
    for one, other in zip(ours, pullback(dy), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("maps", "size", "parameters"), [(6, 28, 12), (16, 10, 32)])
def test_s2_and_s4_have_the_parameters_of_the_paper(maps, size, parameters):
    x = normal(1, size, size, maps)
    y, variables = Subsampling().init_with_output(jax.random.key(0), x)
    assert sum(p.size for p in jax.tree.leaves(variables)) == parameters
    # As it starts out, it takes means.
    np.testing.assert_allclose(y, avg_pool(x, 2), rtol=1e-5, atol=1e-6)


def test_the_activation_comes_last():
    x = normal(1, 4, 4, 2)
    variables = {"params": {"coefficient": jnp.array([1.0, 2]), "bias": jnp.array([0.5, -1])}}
    plain = Subsampling().apply(variables, x)
    np.testing.assert_array_equal(
        Subsampling(activation=jnp.tanh).apply(variables, x), jnp.tanh(plain)
    )
    np.testing.assert_array_equal(plain, subsample(x, jnp.array([1.0, 2]), jnp.array([0.5, -1])))


def test_what_does_not_fit_is_named():
    x, one = jnp.zeros((1, 4, 4, 2)), jnp.ones(2)
    with pytest.raises(UserError, match=r"bias \(1,\) for 2 maps"):
        subsample(x, one, jnp.ones(1))
    with pytest.raises(UserError, match="coefficient is bfloat16"):
        subsample(x, one.astype(jnp.bfloat16), one)
    with pytest.raises(UserError, match="window of 5"):
        subsample(x, one, one, 5)
