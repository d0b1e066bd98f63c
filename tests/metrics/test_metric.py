"""The mean as sums: exact however the data is cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.metrics import merge
from cnnlab.metrics.metric import Mean

VALUES = np.random.default_rng(0).integers(0, 100, size=10).astype(np.float32)


def padded(values, size):
    """Batches of `size`, the last filled up with NaN that the mask hides."""
    for start in range(0, len(values), size):
        part = values[start : start + size]
        fill = np.full(size - len(part), np.nan, np.float32)
        yield jnp.append(part, fill), jnp.arange(size) < len(part)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 16])
def test_padded_batches_add_up_to_the_mean_of_all(size):
    metrics = [Mean.of(values, mask) for values, mask in padded(VALUES, size)]
    assert sum(metrics[1:], metrics[0]).compute() == VALUES.mean()


def test_sharded_batches_add_up_to_the_mean_of_all():
    values, mask = jnp.append(VALUES, jnp.full(6, jnp.nan)), jnp.arange(16) < 10

    def replica(values, mask):
        return jax.lax.psum(Mean.of(values, mask), "batch")

    mapped = jax.pmap(replica, "batch", out_axes=None)
    assert mapped(values.reshape(8, 2), mask.reshape(8, 2)).compute() == VALUES.mean()


def test_trees_of_metrics_merge_name_by_name():
    first = {"a": Mean.of(jnp.array([1.0])), "b": Mean.of(jnp.array([2.0, 4.0]))}
    second = {"a": Mean.of(jnp.array([3.0])), "b": Mean.of(jnp.array([9.0]))}
    merged = merge(first, second)
    assert {name: metric.compute() for name, metric in merged.items()} == {"a": 2.0, "b": 5.0}


def test_counts_of_booleans_stay_exact_where_float32_would_not():
    large = Mean(jnp.int32(2**24), jnp.int32(2**24)) + Mean.of(jnp.array([True, False]))
    assert large.total == 2**24 + 1
    assert large.compute() == (2**24 + 1) / (2**24 + 2)


def test_sums_in_float64_on_the_host_keep_every_digit():
    one = jax.device_get(Mean.of(jnp.array([0.5])))
    host = jax.tree.map(np.float64, one)
    total = merge(jax.tree.map(lambda x: x * 2**25, host), host)
    assert total.total == 2**24 + 0.5 and total.compute() == 0.5


def test_nothing_to_average_is_nan():
    assert np.isnan(Mean.of(jnp.array([1.0]), jnp.array([False])).compute())
