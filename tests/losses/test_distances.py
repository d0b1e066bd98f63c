"""Distances against loops in float64, near and at 0, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_checks import finite_differences

from cnnlab.losses import distances
from cnnlab.losses.distances import DISTANCES

paired_euclidean, unit = jax.jit(distances.paired_euclidean), jax.jit(distances.unit)
RNG = np.random.default_rng(0)
A, B = (RNG.normal(size=(n, 4)).astype(np.float32) for n in (5, 6))
WEIGHTS = RNG.normal(size=(5, 6))


@jax.jit
def jitted(a, b):
    return {name: function(a, b) for name, function in DISTANCES.items()}


@jax.jit
def gradients(a, b):
    """Return the gradients of a weighted sum of each kind of distance by a and b."""
    return {
        name: jax.grad(lambda a, b, f=f: jnp.sum(WEIGHTS * f(a, b)), argnums=(0, 1))(a, b)
        for name, f in DISTANCES.items()
    }


def by_loop(a, b, name):
    d = np.zeros((len(a), len(b)))
    for i, x in enumerate(np.asarray(a, np.float64)):
        for j, y in enumerate(np.asarray(b, np.float64)):
            if name == "cosine":
                d[i, j] = 1 - x @ y / np.sqrt((x @ x) * (y @ y))
            else:
                d[i, j] = np.sum((x - y) ** 2) ** (0.5 if name == "euclidean" else 1)
    return d


def test_values_are_those_of_a_loop():
    for name, d in jitted(A, B).items():
        np.testing.assert_allclose(d, by_loop(A, B, name), atol=2e-6, err_msg=name)


def test_gradients_are_those_of_a_loop():
    for name, (da, db) in gradients(A, B).items():
        by_a = finite_differences(lambda a, name=name: np.sum(WEIGHTS * by_loop(a, B, name)), A)
        by_b = finite_differences(lambda b, name=name: np.sum(WEIGHTS * by_loop(A, b, name)), B)
        np.testing.assert_allclose(da, by_a, atol=5e-6, err_msg=name)
        np.testing.assert_allclose(db, by_b, atol=5e-6, err_msg=name)


def test_a_point_is_at_distance_zero_of_itself_with_no_gradient():
    # In many dimensions and off the origin, where rounding would show.
    points = (RNG.normal(size=(6, 300)) + 20).astype(np.float32)
    d = jitted(points[:5], points)
    for name in ("squared", "euclidean"):
        np.testing.assert_array_equal(np.diag(d[name]), 0)
        assert np.min(d[name] + np.eye(5, 6)) > 0.5
    same = np.broadcast_to(A[0], (6, 4))
    for name, (da, db) in gradients(same[:5], same).items():
        np.testing.assert_allclose(da, 0, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(db, 0, atol=1e-6, err_msg=name)


def test_points_close_together_far_from_the_origin_keep_their_distances():
    points = (RNG.normal(size=(6, 4)) / 100 + 10).astype(np.float32)
    d = jitted(points[:5], points)
    for name in ("squared", "euclidean"):
        np.testing.assert_allclose(d[name], by_loop(points[:5], points, name), rtol=1e-4)


def test_cosine_of_zero_vectors_is_no_similarity_and_has_no_gradient():
    zero = A.copy()
    zero[2] = 0
    assert np.all(jitted(zero, B)["cosine"][2] == 1)
    da, db = gradients(zero, B)["cosine"]
    np.testing.assert_array_equal(da[2], 0)
    assert np.all(np.isfinite(da)) and np.all(np.isfinite(db))


def test_unit_vectors_have_length_one_whatever_the_scale():
    normalized = A / np.linalg.norm(A, axis=1, keepdims=True)
    for scale in (1e-25, 1.0, 1e25):
        np.testing.assert_allclose(unit(A * np.float32(scale)), normalized, rtol=1e-6)
    gradient = jax.vjp(unit, A)[1](B[:5])[0]
    # The derivative of x / |x| is the projection on what is orthogonal to x, over |x|.
    lengths = np.linalg.norm(A, axis=1, keepdims=True)
    across = B[:5] - normalized * np.sum(normalized * B[:5], axis=1, keepdims=True)
    np.testing.assert_allclose(gradient, across / lengths, atol=1e-6)
    np.testing.assert_array_equal(unit(0 * A), 0)


def test_paired_distances_are_the_diagonal_of_all():
    np.testing.assert_allclose(
        paired_euclidean(A, B[:5]), np.diag(by_loop(A, B, "euclidean")), rtol=1e-6
    )
    d, pullback = jax.vjp(paired_euclidean, A, A)
    np.testing.assert_array_equal(d, 0)
    np.testing.assert_array_equal(pullback(np.ones(5, np.float32)), 0)


def test_low_precision_comes_in_and_float32_goes_out():
    a, b = A.astype(jnp.bfloat16), B.astype(jnp.bfloat16)
    for name, d in jitted(a, b).items():
        assert d.dtype == jnp.float32
        expected = by_loop(a, b, name)
        np.testing.assert_allclose(d, expected, atol=2e-6, err_msg=name)
    assert unit(a).dtype == jnp.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_stays_none(bad):
    a = A.copy()
    a[1, 1] = bad
    for name, d in jitted(a, B).items():
        assert np.all(~np.isfinite(d[1])), name
