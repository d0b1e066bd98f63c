"""Rows some at a time: the same values and gradients, with less in memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_checks import largest_array

from cnnlab.losses.chunked import by_rows

RNG = np.random.default_rng(0)
X, KEYS = (jnp.asarray(RNG.normal(size=(n, 2)), jnp.float32) for n in (7, 20))
KEPT = jnp.arange(7) % 3 > 0


def rows(x, keys, chunk):
    def function(rows):
        x, kept = rows
        distances = jnp.abs(x[:, None] - keys).sum(axis=-1)
        return {"mean": jnp.where(kept, jnp.sin(distances).mean(axis=1), 0), "kept": kept}

    return by_rows(function, (x, KEPT), chunk)


def total(x, keys, chunk):
    return jnp.sum(rows(x, keys, chunk)["mean"] * jnp.arange(7))


@functools.cache
def compiled(chunk):
    def both(x, keys):
        return rows(x, keys, chunk), jax.grad(total, (0, 1))(x, keys, chunk)

    return jax.jit(both)


@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_values_and_gradients_do_not_depend_on_the_chunk(chunk):
    one, gradients = compiled(0)(X, KEYS)
    other, other_gradients = compiled(chunk)(X, KEYS)
    np.testing.assert_allclose(one["mean"], other["mean"], rtol=1e-6)
    np.testing.assert_array_equal(other["kept"], KEPT)
    for a, b in zip(gradients, other_gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_no_more_than_a_chunk_is_in_memory_forward_or_backward():
    for chunk, size in ((0, 7), (3, 3)):
        gradient = jax.grad(lambda x, c=chunk: total(x, KEYS, c))
        assert largest_array(gradient, X) == size * 20 * 2
