"""The checksum sees every flipped bit and no sharding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.training import parallel
from cnnlab.training.checksum import checksums


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8", "bool", "float16"])
def test_one_flipped_bit_changes_the_checksum(dtype):
    values = np.arange(6).astype(jnp.dtype(dtype))
    original = checksums({"x": jnp.asarray(values)})
    for byte in range(values.nbytes):
        damaged = values.copy()
        damaged.view(np.uint8)[byte] ^= 1
        assert checksums({"x": jnp.asarray(damaged)}) != original


def test_exchanged_values_change_the_checksum():
    a, b = jnp.array([1.0, 2.0, 3.0]), jnp.array([2.0, 1.0, 3.0])
    assert checksums([a]) != checksums([b])


def test_checksum_does_not_depend_on_sharding():
    tree = {"w": jax.random.normal(jax.random.key(0), (64, 64)), "b": jnp.arange(3)}
    sharded = parallel.make("fsdp", 8).place_state(tree)
    assert not sharded["w"].is_fully_replicated
    assert checksums(sharded) == checksums(tree)


def test_each_leaf_has_a_checksum_of_its_own():
    a = checksums({"x": jnp.ones(2), "y": jnp.ones(3)})
    b = checksums({"x": jnp.ones(2), "y": jnp.zeros(3)})
    assert a[0] == b[0]
    assert a[1] != b[1]
