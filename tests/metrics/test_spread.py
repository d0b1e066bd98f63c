"""The spread of embeddings: 1 on the whole sphere, 0 at one point, the same on eight devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.metrics import spread

embedding_std = jax.jit(spread.embedding_std, static_argnums=1)
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("d", [2, 5])
def test_directions_that_balance_have_spread_one_whatever_their_lengths(d):
    rows = np.concatenate([np.eye(d), -np.eye(d)]) * RNG.uniform(0.1, 9, (2 * d, 1))
    assert embedding_std(np.float32(rows)).compute() == pytest.approx(1, rel=1e-6)


def test_random_directions_have_spread_one_but_for_chance():
    rows = RNG.normal(size=(4096, 8))
    assert embedding_std(rows.astype(np.float32)).compute() == pytest.approx(1, abs=0.02)


def test_one_direction_has_spread_zero():
    rows = np.outer(RNG.uniform(0.1, 9, 16), RNG.normal(size=5)).astype(jnp.bfloat16)
    assert embedding_std(rows).compute() < 0.01
    assert embedding_std(0 * rows).compute() == 0


def test_it_is_the_standard_deviation_of_normalized_rows():
    rows = RNG.normal(size=(16, 3)) + 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = np.mean([np.std(unit[:, j]) for j in range(3)]) * np.sqrt(3)
    one = embedding_std(np.float32(rows))
    assert one.count == 1 and one.compute() == pytest.approx(expected, rel=1e-5)

    def replica(x):
        return jax.lax.psum(spread.embedding_std(x, "batch"), "batch")

    eight = jax.pmap(replica, "batch", out_axes=None)(np.float32(rows).reshape(8, 2, 3))
    assert eight.compute() == pytest.approx(expected, rel=1e-5)
    assert not np.any(jax.grad(lambda x: embedding_std(x).total)(np.float32(rows)))
