"""Rows of all replicas: their order, and gradients that come back to their owners."""

import jax
import jax.numpy as jnp
import numpy as np
from loss_checks import assert_same_on_eight_devices

from cnnlab.losses.cross_replica import first_row, gather

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 4)).astype(np.float32)


def test_rows_come_in_the_order_of_the_replicas_and_each_knows_its_own():
    x = jnp.arange(24).reshape(8, 3)

    def replica(x):
        return gather(x, "batch"), first_row(3, "batch"), gather(x > 10, "batch")

    everything, first, large = jax.pmap(replica, "batch")(x)
    for i in range(8):
        np.testing.assert_array_equal(everything[i], np.arange(24))
        np.testing.assert_array_equal(large[i], np.arange(24) > 10)
        assert everything[i][first[i]] == x[i, 0]


def test_without_replicas_nothing_happens():
    x = jnp.asarray(X)
    assert gather(x, None) is x
    assert first_row(5, None) == 0


def test_own_rows_against_all_others_need_no_factor():
    def loss(y, axis_name):
        everyone = gather(y, axis_name)
        own = first_row(len(y), axis_name) + jnp.arange(len(y))
        far = jnp.tanh(y @ everyone.T) * jnp.arange(len(everyone)) * own[:, None] / 64
        return jnp.mean(far), {}

    assert_same_on_eight_devices(loss, X)


def test_a_statistic_that_every_replica_computes_of_all_rows_needs_no_factor():
    def loss(y, axis_name):
        return jnp.sum(jnp.sin(jnp.var(gather(y, axis_name), axis=0))), {}

    assert_same_on_eight_devices(loss, X)
