"""Convolution by a table of connections against plain loops; LeNet-5's C3 counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.connection_table import TableConv, table_conv, table_conv_backward
from cnnlab.layers.convolution.conv import conv

# Rows of other lengths, and maps in no order.
TABLE = ((0, 1), (2,), (2, 0, 1))


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def loops(x, kernel, bias, table):
    k = kernel.shape[0]
    ho, wo = x.shape[1] - k + 1, x.shape[2] - k + 1
    y = np.zeros((x.shape[0], ho, wo, len(table))) + bias
    connection = 0
    for o, row in enumerate(table):
        for c in row:
            for u, v in np.ndindex(k, k):
                y[..., o] += x[:, u : u + ho, v : v + wo, c] * kernel[u, v, connection]
            connection += 1
    return y


def test_each_filter_sees_the_maps_of_its_row():
    x, kernel, bias = normal(2, 6, 5, 3), normal(3, 3, 6, seed=1), normal(3, seed=2)
    y = table_conv(x, kernel, bias, table=TABLE, padding="VALID")
    np.testing.assert_allclose(
        y, loops(*(np.asarray(a) for a in (x, kernel, bias)), TABLE), rtol=1e-4, atol=1e-5
    )


def test_the_table_of_all_maps_is_a_convolution():
    x, kernel = normal(2, 6, 5, 3), normal(3, 3, 3, 4, seed=1)
    # Connections of the first filter come first.
    by_filter = jnp.moveaxis(kernel, -1, -2).reshape(3, 3, 12)
    y = table_conv(x, by_filter, table=((0, 1, 2),) * 4, stride=2, padding="SAME")
    np.testing.assert_allclose(y, conv(x, kernel, stride=2, padding="SAME"), atol=1e-6)


def test_the_backward_pass_written_out_is_the_gradient():
    x, kernel, bias = normal(2, 6, 5, 3), normal(3, 3, 6, seed=1), normal(3, seed=2)
    keywords = dict(table=TABLE, stride=2, padding="SAME")
    dy = normal(2, 3, 3, 3, seed=3)

    @jax.jit
    def both(x, kernel, bias, dy):
        _, pullback = jax.vjp(lambda *a: table_conv(*a, **keywords), x, kernel, bias)
        return table_conv_backward(x, kernel, dy, **keywords), pullback(dy)

    for ours, theirs in zip(*both(x, kernel, bias, dy), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_initial_parameters_fill_the_bounds_of_each_filter():
    layer = TableConv(((0,), tuple(range(40))), (5, 5))
    init = jax.jit(layer.init)
    params = init(jax.random.key(0), jnp.zeros((1, 8, 8, 40)))["params"]
    assert params["kernel"].shape == (5, 5, 41) and params["bias"].shape == (2,)
    first, rest = jnp.abs(params["kernel"][..., 0]), jnp.abs(params["kernel"][..., 1:])
    for weights, fan_in in ((first, 25), (rest, 1000)):
        assert 0.8 * 2.4 / fan_in < weights.max() <= 2.4 / fan_in
    assert jnp.all(jnp.abs(params["bias"]) <= 2.4 / jnp.array([25, 1000]))


def test_without_bias_there_is_none():
    layer, x = TableConv(TABLE, (3, 3), use_bias=False), jnp.zeros((1, 4, 4, 3))
    variables = jax.eval_shape(layer.init, jax.random.key(0), x)
    assert set(variables["params"]) == {"kernel"}


@pytest.mark.parametrize("row", [(), (0, 0), (3,), (-1,)])
def test_a_row_that_cannot_be_is_named(row):
    with pytest.raises(UserError, match=r"table\[1\]=.* some of the 3 maps"):
        table_conv(jnp.zeros((1, 4, 4, 3)), jnp.zeros((3, 3, 2)), table=((0,), row))


def test_a_kernel_for_another_table_is_named():
    with pytest.raises(UserError, match=r"kernel \(3, 3, 5\) for 6 connections"):
        table_conv(jnp.zeros((1, 4, 4, 3)), jnp.zeros((3, 3, 5)), table=TABLE)
