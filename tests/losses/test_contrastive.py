"""The contrastive loss: its closed form, hand numbers and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
from loss_checks import finite_differences

from cnnlab.losses import contrastive as file
from cnnlab.losses.distances import paired_euclidean

contrastive = jax.jit(file.contrastive, static_argnums=2)
DISTANCES = jnp.array([0.0, 0.3, 0.9, 1.5, 2.5] * 2)
SAME = np.arange(10) < 5


def by_loop(distances, margin):
    pairs = zip(distances, SAME, strict=True)
    return np.array([0.5 * d**2 if same else 0.5 * max(0, margin - d) ** 2 for d, same in pairs])


def test_values_and_gradients_are_those_of_the_closed_form():
    for margin in (1.0, 2):
        losses = contrastive(DISTANCES, SAME, margin)
        np.testing.assert_allclose(losses, by_loop(np.asarray(DISTANCES), margin), rtol=1e-6)
    gradient = jax.grad(lambda d: contrastive(d, SAME).sum())(DISTANCES)
    expected = finite_differences(lambda d: by_loop(d, 1.0).sum(), DISTANCES)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    # Same: pulled in proportion; different: pushed until the margin.
    np.testing.assert_allclose(gradient, [0, 0.3, 0.9, 1.5, 2.5, -1, -0.7, -0.1, 0, 0], atol=1e-6)


def test_outputs_all_alike_are_the_minimum_only_without_pairs_of_different_classes():
    alike = np.zeros(10, np.float32)
    assert contrastive(alike, SAME)[:5].sum() == 0
    assert contrastive(alike, SAME)[5:].sum() == 5 * 0.5


def test_a_pair_at_one_point_has_a_loss_and_a_finite_gradient():
    point, same = np.ones((2, 3), np.float32), np.array([True, False])

    def loss(a, b):
        losses = contrastive(paired_euclidean(a, b), same, 2.0)
        return losses.sum(), losses

    (_, losses), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(point, point)
    np.testing.assert_array_equal(losses, [0, 2])
    np.testing.assert_array_equal(gradient, 0)


def test_low_precision_distances_are_taken_in_float32():
    losses = contrastive(DISTANCES.astype(jnp.bfloat16), SAME)
    assert losses.dtype == jnp.float32
    rounded = DISTANCES.astype(jnp.bfloat16).astype(jnp.float32)
    np.testing.assert_array_equal(losses, contrastive(rounded, SAME))
