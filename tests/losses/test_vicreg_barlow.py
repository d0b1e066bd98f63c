"""Losses without negatives: loops, closed forms at their minima, and statistics of all replicas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_checks import assert_same_on_eight_devices, finite_differences

from cnnlab.losses.vicreg_barlow import barlow_twins, negative_cosine, vicreg

RNG = np.random.default_rng(0)
FIRST = (RNG.normal(size=(8, 3)) * [0.3, 0.8, 1.5]).astype(np.float32)
SECOND = (FIRST + RNG.normal(size=(8, 3)) / 2).astype(np.float32)
# Columns without mean that are orthogonal, of standard deviation 1 (over n).
HADAMARD = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]] * 2, np.float32)


def compile_(loss):
    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))


vicreg_ = compile_(vicreg)
barlow_ = compile_(barlow_twins)
cosine_ = compile_(lambda a, b: (jnp.mean(negative_cosine(a, b)), negative_cosine(a, b)))


def vicreg_by_loop(first, second):
    n, d = first.shape
    invariance = sum((a - b) ** 2 for a, b in zip(first.flat, second.flat, strict=True)) / (n * d)
    variance = covariance = 0
    for view in (first, second):
        centered = view - view.sum(axis=0) / n
        for i in range(d):
            for j in range(d):
                entry = sum(row[i] * row[j] for row in centered) / (n - 1)
                if i == j:
                    variance += max(0, 1 - np.sqrt(entry + 1e-4)) / d
                else:
                    covariance += entry**2 / d
    return 25 * invariance + 25 * variance + covariance, (invariance, variance, covariance)


def barlow_by_loop(first, second):
    n, d = first.shape
    invariance = redundancy = 0
    for i in range(d):
        for j in range(d):
            a, b = first[:, i] - first[:, i].mean(), second[:, j] - second[:, j].mean()
            norms = np.sqrt((a @ a / n + 1e-5) * (b @ b / n + 1e-5))
            if i == j:
                invariance += (1 - a @ b / n / norms) ** 2
            else:
                redundancy += (a @ b / n / norms) ** 2
    return invariance + 5e-3 * redundancy, (invariance, redundancy)


def cosine_by_loop(first, second):
    pairs = zip(first, second, strict=True)
    cosines = [-a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in pairs]
    return np.mean(cosines), np.array(cosines)


LOSSES = {
    "vicreg": (vicreg_, vicreg_by_loop),
    "barlow_twins": (barlow_, barlow_by_loop),
    "negative_cosine": (cosine_, cosine_by_loop),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


@every_loss
def test_values_and_gradients_are_those_of_a_loop(name):
    ours, loop = LOSSES[name]
    (loss, parts), gradients = ours(FIRST, SECOND)
    wide = [x.astype(np.float64) for x in (FIRST, SECOND)]
    expected, expected_parts = loop(*wide)
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(jnp.asarray(parts), expected_parts, rtol=1e-5)
    for gradient, other in (
        (gradients[0], finite_differences(lambda x: loop(x, wide[1])[0], FIRST)),
        (gradients[1], finite_differences(lambda x: loop(wide[0], x)[0], SECOND)),
    ):
        np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=1e-5)


@every_loss
def test_the_views_may_be_exchanged(name):
    ours, _ = LOSSES[name]
    (one, _), (by_first, _) = ours(FIRST, SECOND)
    (other, _), (_, by_second) = ours(SECOND, FIRST)
    assert one == pytest.approx(float(other), rel=1e-6)
    np.testing.assert_allclose(by_first, by_second, atol=1e-6)


@every_loss
def test_bfloat16_embeddings_are_compared_in_float32(name):
    ours, loop = LOSSES[name]
    first, second = (jnp.asarray(x, jnp.bfloat16) for x in (FIRST, SECOND))
    (loss, _), _ = ours(first, second)
    assert loss.dtype == jnp.float32
    wide = [np.asarray(x.astype(jnp.float32), np.float64) for x in (first, second)]
    assert loss == pytest.approx(loop(*wide)[0], rel=1e-5)


@every_loss
def test_a_collapsed_batch_has_finite_gradients(name):
    ours, _ = LOSSES[name]
    for point in ([0.2, -0.3, 0.5], [0, 0, 0]):
        same = np.broadcast_to(np.float32(point), (8, 3))
        (loss, _), gradients = ours(same, same)
        assert np.isfinite(loss)
        assert all(np.all(np.isfinite(g)) for g in gradients)


def test_spread_and_uncorrelated_views_that_agree_are_the_minimum():
    x = 2 * HADAMARD
    (loss, parts), _ = vicreg_(x, x)
    assert loss == 0 and parts == (0, 0, 0)
    (loss, parts), _ = barlow_(x, x)
    assert loss == pytest.approx(0, abs=1e-9) and parts.redundancy == 0
    assert negative_cosine(jnp.asarray(x), jnp.asarray(3 * x)) == pytest.approx(-1)


def test_collapse_costs_what_the_terms_say():
    same = np.ones((8, 3), np.float32)
    (loss, parts), _ = vicreg_(same, same)
    # Both views lack all of their standard deviation but the epsilon's.
    assert parts.variance == pytest.approx(2 * (1 - 0.01), rel=1e-5)
    assert loss == pytest.approx(25 * 2 * 0.99, rel=1e-5)
    (loss, parts), _ = barlow_(same, same)
    assert loss == parts.invariance == 3
    # One dimension copied to all: as redundant as can be.
    (loss, parts), _ = barlow_(HADAMARD[:, [0, 0, 0]], HADAMARD[:, [0, 0, 0]])
    assert parts.redundancy == pytest.approx(6, rel=1e-4)
    assert loss == pytest.approx(6 * 5e-3, rel=1e-4)


def test_the_weights_are_the_terms_own():
    one = jax.jit(lambda a, b: vicreg(a, b, invariance=2, variance=3.0, covariance=5.0))
    loss, parts = one(FIRST, SECOND)
    assert loss == pytest.approx(float(2 * parts[0] + 3 * parts[1] + 5 * parts[2]), rel=1e-6)


def test_a_zero_vector_has_no_direction_and_no_gradient():
    zero = FIRST * (np.arange(8) != 2)[:, None]
    (_, cosines), (by_first, _) = cosine_(zero, SECOND)
    assert cosines[2] == 0
    np.testing.assert_array_equal(by_first[2], 0)


@pytest.mark.parametrize("loss", [vicreg, barlow_twins])
def test_eight_devices_give_loss_and_gradient_of_one(loss):
    def both(y, axis_name):
        return loss(y, jnp.sin(2 * y), axis_name=axis_name)

    def value(y, axis_name):
        total, _ = both(y, axis_name)
        return total / 16, {}

    assert_same_on_eight_devices(value, RNG.normal(size=(16, 4)).astype(np.float32))
