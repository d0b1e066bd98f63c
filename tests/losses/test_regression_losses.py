"""The squared error and the Gaussian behind it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from cnnlab.losses.regression import squared_error

OUTPUT = jax.random.normal(jax.random.key(0), (5, 3))
TARGET = jax.random.normal(jax.random.key(1), (5, 3))


def test_hand_number_and_gradient():
    loss, gradient = jax.value_and_grad(lambda y: squared_error(y, jnp.array([0.0, 4.0])))(
        jnp.array([1.0, 2.0])
    )
    assert loss == pytest.approx(2.5)
    np.testing.assert_allclose(gradient, [1.0, -2.0])


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_it_is_the_gaussian_negative_log_likelihood_up_to_scale_and_constant(sigma):
    nll = -stats.norm.logpdf(np.asarray(TARGET, np.float64), OUTPUT, sigma).sum(axis=-1)
    scale, constant = 3 / (2 * sigma**2), 3 / 2 * np.log(2 * np.pi * sigma**2)
    np.testing.assert_allclose(scale * squared_error(OUTPUT, TARGET) + constant, nll, rtol=1e-5)


def test_bfloat16_output_is_compared_in_float32():
    # 256 + 1 has no bfloat16 of its own, so a difference in that type would be 0.
    loss = squared_error(jnp.array([256.0], jnp.bfloat16), jnp.array([257.0]))
    assert loss.dtype == jnp.float32 and loss == 1.0
