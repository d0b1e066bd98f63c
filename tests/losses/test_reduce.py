"""The masked mean: one number for the global batch, however it is padded and divided."""

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.losses.reduce import masked_mean

RNG = np.random.default_rng(0)
VALUES = jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)
# Replicas with three, two, one and no true example.
MASK = jnp.array([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]], bool)


def test_it_is_the_mean_of_what_the_mask_keeps():
    np.testing.assert_allclose(
        masked_mean(VALUES.ravel(), MASK.ravel()), VALUES[MASK].mean(), rtol=1e-6
    )
    np.testing.assert_allclose(masked_mean(VALUES.ravel(), None), VALUES.mean(), rtol=1e-6)


def test_nothing_kept_gives_zero_and_no_gradient():
    value, gradient = jax.value_and_grad(masked_mean)(VALUES[0], jnp.zeros(3, bool))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_a_hidden_nan_leaks_into_neither_value_nor_gradient():
    values = jnp.array([1.0, jnp.nan, 3.0])
    value, gradient = jax.value_and_grad(masked_mean)(values, jnp.array([True, False, True]))
    assert value == 2
    np.testing.assert_array_equal(gradient, [0.5, 0, 0.5])


def test_low_precision_values_are_summed_in_float32():
    mean = masked_mean(jnp.ones(4096, jnp.bfloat16), jnp.arange(4096) < 4095)
    assert mean.dtype == jnp.float32 and mean == 1


def fit(weight, x, mask, axis_name=None):
    """A loss with parameters: mean of (x w)^2."""
    return masked_mean(jnp.square(x @ weight), mask, axis_name)


def sharded(weight, x, mask):
    """Value and gradient on four replicas, averaged as the trainer does."""

    def replica(weight, x, mask):
        return jax.lax.pmean(jax.value_and_grad(fit)(weight, x, mask, "batch"), "batch")

    masks = None if mask is None else 0
    mapped = jax.pmap(
        replica, "batch", in_axes=(None, 0, masks), out_axes=None, devices=jax.devices()[:4]
    )
    return mapped(weight, x, mask)


def test_uneven_replicas_give_the_global_mean_and_its_gradient():
    weight = jnp.asarray(RNG.normal(size=5), jnp.float32)
    x = jnp.asarray(RNG.normal(size=(4, 3, 5)), jnp.float32)
    for mask, flat in ((MASK, MASK.ravel()), (None, None)):
        value, gradient = sharded(weight, x, mask)
        one_value, one_gradient = jax.value_and_grad(fit)(weight, x.reshape(12, 5), flat)
        np.testing.assert_allclose(value, one_value, rtol=1e-6)
        np.testing.assert_allclose(gradient, one_gradient, rtol=1e-5)
        if mask is not None:  # What would be wrong: the mean of the replicas' means.
            means = [fit(weight, x[i], mask[i]) for i in range(4)]
            assert abs(np.mean(means) - value) > 1e-2


def test_all_replicas_empty_give_zero():
    value, gradient = sharded(jnp.ones(5), jnp.ones((4, 3, 5)), np.zeros((4, 3), bool))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_validity_of_examples_is_that_of_all_their_places():
    values = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    valid = np.array([True, False, True, False])
    found = masked_mean(jnp.asarray(values), jnp.asarray(valid))
    np.testing.assert_allclose(found, values[valid].mean(), rtol=1e-6)
