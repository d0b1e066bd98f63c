"""Activations at the points that define them, and weights that keep their signal's variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.activations import ACTIVATIONS, relu, scaled_tanh


def test_relu_cuts_off_below_zero_and_has_slope_zero_at_zero():
    x = jnp.array([-2.0, 0.0, 3.0])
    np.testing.assert_array_equal(relu(x), [0, 0, 3])
    np.testing.assert_array_equal(jax.vmap(jax.grad(relu))(x), [0, 0, 1])


def test_the_scaled_tanh_keeps_plus_and_minus_one_and_bends_most_there():
    x = jnp.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(scaled_tanh(x), x, atol=1e-4)
    np.testing.assert_allclose(scaled_tanh(jnp.array([40.0, -40.0])), [1.7159, -1.7159])
    # The second derivative is largest at 1, as the paper's appendix says.
    bend = jax.vmap(jax.grad(jax.grad(scaled_tanh)))(jnp.linspace(0.5, 1.5, 101))
    assert float(jnp.linspace(0.5, 1.5, 101)[jnp.argmax(-bend)]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("name", "ratio"), [("relu", 1.0), ("tanh", 1.0), ("scaled_tanh", 1.309)])
def test_initial_weights_keep_a_small_signal(name, ratio):
    """The mean square of W act(x) is `ratio` times that of x; for tanh in its linear part."""
    activation = ACTIVATIONS[name]
    x = 0.05 * jax.random.normal(jax.random.key(0), (400, 500))
    weights = activation.kernel_init(jax.random.key(1), (500, 600), jnp.float32)
    after = activation.function(x) @ weights
    # 1.7159 * 2 / 3 squared is 1.309.
    assert float(jnp.mean(after**2) / jnp.mean(x**2)) == pytest.approx(ratio, rel=0.03)
