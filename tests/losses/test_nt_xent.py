"""NT-Xent against a loop over views, in symmetric cases and on eight devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_checks import assert_same_on_eight_devices, finite_differences

from cnnlab.losses.nt_xent import nt_xent

RNG = np.random.default_rng(0)
FIRST = RNG.normal(size=(6, 3)).astype(np.float32)
SECOND = (FIRST + RNG.normal(size=(6, 3))).astype(np.float32)


@functools.cache
def compiled(chunk=0):
    def loss(first, second):
        losses, right = nt_xent(first, second, temperature=0.3, chunk=chunk)
        return jnp.mean(losses), (losses, right)

    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))


def by_loop(first, second):
    views = np.concatenate([first, second]).astype(np.float64)
    views = views / np.linalg.norm(views, axis=1, keepdims=True)
    losses, right = np.zeros((2, 6)), np.zeros((2, 6))
    for i, view in enumerate(views):
        partner = (i + 6) % 12
        scores = [np.exp(view @ other / 0.3) for other in views]
        others = [s for j, s in enumerate(scores) if j != i]
        losses[divmod(i, 6)] = -np.log(scores[partner] / sum(others))
        right[divmod(i, 6)] = scores[partner] == max(others)
    return losses.mean(axis=0), right.mean(axis=0)


@pytest.mark.parametrize("chunk", [0, 5])
def test_values_and_gradients_are_those_of_a_loop(chunk):
    (_, (losses, right)), gradients = compiled(chunk)(FIRST, SECOND)
    expected, expected_right = by_loop(FIRST, SECOND)
    np.testing.assert_allclose(losses, expected, rtol=2e-6)
    np.testing.assert_array_equal(right, expected_right)
    assert 0 < right.mean() < 1
    by_first = finite_differences(lambda x: by_loop(x, SECOND)[0].mean(), FIRST)
    by_second = finite_differences(lambda x: by_loop(FIRST, x)[0].mean(), SECOND)
    for gradient, other in zip(gradients, (by_first, by_second), strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-6)


def test_the_views_may_be_exchanged():
    (_, (one, _)), (by_first, _) = compiled()(FIRST, SECOND)
    (_, (other, _)), (_, by_second) = compiled()(SECOND, FIRST)
    np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(by_first, by_second, atol=1e-6)


def test_collapsed_embeddings_are_as_good_as_guessing():
    same = np.ones((6, 3), np.float32)
    (_, (losses, right)), gradients = compiled()(same, same)
    np.testing.assert_allclose(losses, np.log(11), rtol=1e-6)
    assert not np.any(right)
    assert all(np.abs(g).max() < 1e-6 for g in gradients)
    (_, (losses, _)), gradients = compiled()(0 * same, 0 * same)
    np.testing.assert_allclose(losses, np.log(11), rtol=1e-6)
    assert all(not np.any(g) for g in gradients)


def test_orthogonal_images_have_the_closed_form():
    x = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    # Of the others one partner at cosine 1, eight at 0, and two views of the opposite image at -1.
    expected = -np.log(np.exp(1 / 0.3) / (np.exp(1 / 0.3) + 8 + 2 * np.exp(-1 / 0.3)))
    (_, (losses, right)), _ = compiled()(x, 5 * x)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert np.all(right == 1)


def test_bfloat16_embeddings_are_compared_in_float32():
    first, second = (jnp.asarray(x, jnp.bfloat16) for x in (FIRST, SECOND))
    (_, (losses, _)), _ = compiled()(first, second)
    assert losses.dtype == jnp.float32
    expected, _ = by_loop(first.astype(jnp.float32), second.astype(jnp.float32))
    np.testing.assert_allclose(losses, expected, rtol=2e-6)


def test_eight_devices_give_loss_and_gradient_of_one():
    def loss(y, axis_name):
        losses, right = nt_xent(y, jnp.sin(2 * y), axis_name=axis_name)
        return jnp.mean(losses), jnp.sum(right)

    assert_same_on_eight_devices(loss, RNG.normal(size=(16, 4)).astype(np.float32))
