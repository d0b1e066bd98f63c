"""Adaptive average pooling against plain loops, and its gradient written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.analysis.summary import summarize
from cnnlab.errors import UserError
from cnnlab.layers.pooling.adaptive import (
    AdaptiveAvgPool,
    adaptive_avg_pool,
    adaptive_avg_pool_backward,
)
from cnnlab.layers.pooling.pool import avg_pool

pool = jax.jit(adaptive_avg_pool, static_argnums=1)

# Input and output: windows that overlap, that divide, that repeat values, and mixtures.
SIZES = [((7, 5), (3, 2)), ((13, 6), (6, 6)), ((1, 2), (7, 7)), ((12, 9), (3, 7)), ((4, 5), (1, 1))]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def loops(x, out):
    """Return the mean of x[floor(i n / m) : ceil((i + 1) n / m)] for each window."""
    axes = len(out)
    size = x.shape[-1 - axes : -1]
    y = np.zeros((*x.shape[: -1 - axes], *out, x.shape[-1]))
    for place in np.ndindex(*out):
        window = tuple(
            slice(int(np.floor(i * n / m)), int(np.ceil((i + 1) * n / m)))
            for i, n, m in zip(place, size, out, strict=True)
        )
        y[..., *place, :] = x[..., *window, :].mean(tuple(range(-1 - axes, -1)))
    return y


@pytest.mark.parametrize(("size", "out"), SIZES)
def test_windows_are_those_of_the_rule(size, out):
    x = normal(2, *size, 3)
    np.testing.assert_allclose(pool(x, out), loops(np.asarray(x), out), atol=1e-6)


@pytest.mark.parametrize(("size", "out"), [((7,), (3,)), ((5, 4, 3), (2, 4, 5))])
def test_one_and_three_axes_and_more_than_one_batch_axis(size, out):
    x = normal(2, 2, *size, 3)
    np.testing.assert_allclose(pool(x, out), loops(np.asarray(x), out), atol=1e-6)


def test_the_same_size_is_the_identity_and_a_divisor_is_avg_pool():
    x = normal(2, 6, 6, 3)
    np.testing.assert_array_equal(adaptive_avg_pool(x, 6), x)
    np.testing.assert_array_equal(adaptive_avg_pool(x, (3, 2)), avg_pool(x, (2, 3)))


@pytest.mark.parametrize(("size", "out"), SIZES)
def test_the_backward_pass_written_out_is_the_gradient(size, out):
    x = normal(2, *size, 3)
    dy = normal(2, *out, 3, seed=1)

    @jax.jit
    def both(x, dy):
        _, pullback = jax.vjp(lambda x: adaptive_avg_pool(x, out), x)
        return adaptive_avg_pool_backward(x, dy, out), pullback(dy)[0]

    ours, theirs = both(x, dy)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_half_precision_is_averaged_in_single():
    # 256 + 1 is no bfloat16: row by row in half precision the sum would stop growing.
    x = jnp.full((1, 300, 3, 1), 1, jnp.bfloat16)
    y = pool(x, 2)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y.astype(jnp.float32), 1)


def test_it_costs_no_multiply_adds_and_sees_its_windows_alone():
    row = summarize(AdaptiveAvgPool((3, 7)), (1, 7, 7, 2)).total
    assert (row.macs, row.parameters, row.shape) == (0, 0, (1, 3, 7, 2))
    assert row.receptive_field == (3, 1)


@pytest.mark.parametrize(
    ("shape", "out", "message"),
    [
        ((1, 4, 4, 1), 0, "output_size=0"),
        ((1, 4, 4, 1), (2, 2, 2, 2), "1 to 3 axes"),
        ((4, 1), 2, "needs 2 spatial axes"),
        ((1, 0, 4, 1), 2, "without values"),
    ],
)
def test_what_cannot_be_is_named(shape, out, message):
    with pytest.raises(UserError, match=message):
        adaptive_avg_pool(jnp.zeros(shape), out)


def test_a_gradient_of_another_shape_is_named():
    with pytest.raises(UserError, match=r"dy \(1, 3, 3, 1\).*\(1, 2, 2, 1\)"):
        adaptive_avg_pool_backward(jnp.zeros((1, 4, 4, 1)), jnp.zeros((1, 3, 3, 1)), 2)
