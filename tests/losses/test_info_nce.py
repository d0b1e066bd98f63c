"""InfoNCE against a loop over queries, its bound, and its memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_checks import assert_same_on_eight_devices, finite_differences, largest_array

from cnnlab.losses.cross_replica import first_row, gather
from cnnlab.losses.info_nce import info_nce

RNG = np.random.default_rng(0)
QUERIES, KEYS = (RNG.normal(size=(n, 3)).astype(np.float32) for n in (7, 9))
POSITIVE = np.array([3, 0, 8, 8, 1, 2, 5])
EXCLUDE = np.array([1, -1, 0, 7, 9, 3, 4])
NOBODY = np.full(7, -1)


@functools.cache
def compiled(chunk=0):
    """Return mean loss, (losses, right) and gradients by queries and keys."""

    def loss(queries, keys, positive, exclude, temperature):
        losses, right = info_nce(
            queries, keys, positive, exclude=exclude, temperature=temperature, chunk=chunk
        )
        return jnp.mean(losses), (losses, right)

    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True), static_argnums=4)


def by_loop(queries, keys, positive, exclude, temperature):
    losses, right = [], []
    for q, own, left_out in zip(queries, positive, exclude, strict=True):
        scores = {j: q @ k / temperature for j, k in enumerate(keys) if j != left_out}
        losses.append(np.log(np.sum(np.exp(list(scores.values())))) - scores[own])
        right.append(all(scores[own] > s for j, s in scores.items() if j != own))
    return np.array(losses), np.array(right)


@pytest.mark.parametrize("chunk", [0, 3])
def test_values_and_gradients_are_those_of_a_loop(chunk):
    rest = (POSITIVE, EXCLUDE, 0.5)
    (_, (losses, right)), (by_queries, by_keys) = compiled(chunk)(QUERIES, KEYS, *rest)
    wide = [x.astype(np.float64) for x in (QUERIES, KEYS)]
    expected, expected_right = by_loop(*wide, *rest)
    np.testing.assert_allclose(losses, expected, rtol=2e-6)
    np.testing.assert_array_equal(right, expected_right)
    assert 0 < right.sum() < 7
    for gradient, other in (
        (by_queries, finite_differences(lambda q: by_loop(q, wide[1], *rest)[0].mean(), QUERIES)),
        (by_keys, finite_differences(lambda k: by_loop(wide[0], k, *rest)[0].mean(), KEYS)),
    ):
        np.testing.assert_allclose(gradient, other, atol=1e-6)


def test_hand_number_and_bound():
    eye = np.eye(3, dtype=np.float32)
    losses, right = jax.jit(info_nce)(2 * eye, eye, np.arange(3))
    np.testing.assert_allclose(losses, 0.239545, atol=1e-6)
    assert np.all(right)
    assert np.log(3) - losses[0] == pytest.approx(0.859067, abs=1e-6)


def test_the_key_left_out_counts_nowhere():
    keys = KEYS.copy()
    keys[0] = 100
    nobody, first = NOBODY[:, None], np.zeros(7, int)
    (_, (losses, _)), (_, by_keys) = compiled()(QUERIES, keys, POSITIVE + (POSITIVE == 0), first, 1)
    expected, _ = by_loop(QUERIES, keys[1:], np.maximum(POSITIVE, 1) - 1, nobody, 1)
    np.testing.assert_allclose(losses, expected, rtol=2e-6)
    np.testing.assert_array_equal(by_keys[0], 0)


def test_equal_scores_tell_nothing():
    # The bound log N - loss is 0, and nobody is right by chance of the order.
    (_, (losses, right)), _ = compiled()(0 * QUERIES, KEYS, POSITIVE, NOBODY, 1)
    np.testing.assert_allclose(losses, np.log(9), rtol=1e-6)
    assert not np.any(right)


def test_large_scores_stay_finite():
    (_, (losses, _)), gradients = compiled()(1e4 * QUERIES, KEYS, POSITIVE, EXCLUDE, 0.5)
    assert np.all(np.isfinite(losses)) and all(np.all(np.isfinite(g)) for g in gradients)


def test_an_index_that_is_no_key_gives_nan():
    positive = np.where(np.arange(7) == 2, 9, np.where(np.arange(7) == 4, -1, POSITIVE))
    (_, (losses, right)), _ = compiled()(QUERIES, KEYS, positive, NOBODY, 1)
    np.testing.assert_array_equal(np.isnan(losses), np.isin(np.arange(7), [2, 4]))
    assert not right[2] and not right[4]


def test_low_precision_is_compared_in_float32():
    queries, keys = jnp.asarray(QUERIES, jnp.bfloat16), jnp.asarray(KEYS, jnp.bfloat16)
    rest = (POSITIVE, EXCLUDE, 0.5)
    (_, (losses, _)), (gradient, _) = compiled()(queries, keys, *rest)
    wide = [np.asarray(x.astype(jnp.float32), np.float64) for x in (queries, keys)]
    assert losses.dtype == jnp.float32 and gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(losses, by_loop(*wide, *rest)[0], rtol=2e-6)


def test_keys_of_eight_devices_are_those_of_one():
    def loss(y, axis_name):
        own = first_row(len(y), axis_name) + jnp.arange(len(y))
        losses, right = info_nce(jnp.sin(3 * y), gather(y, axis_name), own)
        return jnp.mean(losses), jnp.sum(right)

    (_, right), _ = assert_same_on_eight_devices(loss, RNG.normal(size=(16, 4)).astype(np.float32))
    assert 0 < right < 16


def test_no_more_than_a_chunk_of_the_scores_is_in_memory():
    queries, keys, positive = jnp.ones((30, 2)), jnp.ones((40, 2)), jnp.arange(30)

    def gradient(chunk):
        return jax.grad(lambda q: info_nce(q, keys, positive, chunk=chunk)[0].sum())

    assert largest_array(gradient(0), queries) == 30 * 40
    assert largest_array(gradient(4), queries) == 4 * 40
