"""The table of objectives: each loss belongs to its activation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.losses.output_losses import OBJECTIVES

LOGITS = jax.random.normal(jax.random.key(0), (4, 3))
TARGET = jnp.eye(3)[jnp.array([0, 2, 1, 1])]


@pytest.mark.parametrize(
    ("name", "scale"), [("linear", 2 / 3), ("sigmoid", 1), ("softmax", 1), ("map", 1)]
)
def test_the_gradient_is_activated_output_minus_target(name, scale):
    activation, loss = OBJECTIVES[name]
    gradient = jax.grad(lambda z: loss(z, TARGET).sum())(LOGITS)
    np.testing.assert_allclose(gradient, scale * (activation(LOGITS) - TARGET), atol=1e-6)


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_probabilities_that_are_right_minimise_the_expected_loss(name):
    activation, loss = OBJECTIVES[name]
    gradient = jax.grad(lambda z: loss(z, activation(LOGITS)).sum())(LOGITS)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
