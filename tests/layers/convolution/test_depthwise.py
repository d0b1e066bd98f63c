"""Depthwise convolution: a convolution for each channel, forward and backward."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.depthwise import (
    DepthwiseConv,
    depthwise_conv,
    depthwise_conv_backward,
)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def test_each_channel_is_convolved_by_itself():
    x, kernel, bias = normal(0, 2, 6, 5, 3), normal(1, 3, 3, 1, 6), normal(2, 6)
    args = dict(stride=2, padding=(1, 2), padding_mode="circular", dilation=(1, 2))
    expected = [
        conv(x[..., c // 2, None], kernel[..., c, None], bias[c, None], **args) for c in range(6)
    ]
    np.testing.assert_allclose(
        depthwise_conv(x, kernel, bias, **args), jnp.concatenate(expected, -1), rtol=1e-5, atol=1e-5
    )


CASES = {
    "1-D, causal": ((2, 5, 3), (3, 1, 3), dict(padding="CAUSAL")),
    "stride 2, SAME": ((2, 6, 5, 2), (3, 3, 1, 2), dict(stride=2)),
    "multiplier 3": ((1, 4, 4, 2), (2, 3, 1, 6), dict(padding="VALID")),
    "dilated, uneven": ((1, 6, 6, 2), (3, 2, 1, 4), dict(dilation=2, padding=((2, 0), (1, 3)))),
    "circular": ((1, 5, 5, 2), (3, 3, 1, 2), dict(padding=1, padding_mode="circular")),
    "reflect, stride 3": ((1, 6, 5, 2), (3, 3, 1, 2), dict(stride=3, padding_mode="reflect")),
    "the end is not seen": ((1, 6, 2), (2, 1, 2), dict(stride=4, padding="VALID")),
    "3-D": ((1, 3, 4, 3, 2), (2, 3, 1, 1, 2), dict(stride=(1, 2, 1))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.sample(3)
def test_the_written_backward_pass_equals_automatic_differentiation(name):
    shape, kernel_shape, kwargs = CASES[name]
    with jax.enable_x64(True):
        x, kernel, bias = normal(0, *shape), normal(1, *kernel_shape), normal(2, kernel_shape[-1])
        y, pullback = jax.vjp(jax.jit(partial(depthwise_conv, **kwargs)), x, kernel, bias)
        dy = normal(3, *y.shape)
        ours = jax.jit(partial(depthwise_conv_backward, **kwargs))(x, kernel, dy)
        for one, other in zip(ours, pullback(dy), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_the_backward_pass_of_the_lectures_example():
    x = jnp.arange(1.0, 10).reshape(3, 3, 1)
    kernel, dy = jnp.array([[1.0, 2], [3, 4]]), jnp.array([[1.0, 0], [0, 2]])
    backward = jax.jit(partial(depthwise_conv_backward, padding="VALID"))
    dx, dkernel, dbias = backward(x, kernel[..., None, None], dy[..., None])
    np.testing.assert_array_equal(dkernel[..., 0, 0], [[11, 14], [20, 23]])
    np.testing.assert_array_equal(dx[..., 0], [[1, 2, 0], [3, 6, 4], [0, 6, 8]])
    assert float(dbias[0]) == 3


def test_gradients_equal_finite_differences():
    with jax.enable_x64(True):
        arrays = normal(0, 2, 4, 5, 2), normal(1, 3, 3, 1, 4), normal(2, 4)
        check_grads(jax.jit(partial(depthwise_conv, stride=2)), arrays, order=1)


def test_it_has_one_window_of_weights_for_each_filter():
    x = jnp.zeros((1, 4, 4, 8))
    init = DepthwiseConv((3, 3), multiplier=2).init
    params = jax.eval_shape(init, jax.random.key(0), x)["params"]
    assert sum(p.size for p in params.values()) == 3 * 3 * 16 + 16
    bare = DepthwiseConv((3,), use_bias=False).init
    assert "bias" not in jax.eval_shape(bare, jax.random.key(0), x)["params"]


@pytest.mark.parametrize(
    ("shape", "kernel", "message"),
    [
        ((4, 4, 3), (3, 3, 3, 3), "multiple of the 3 channels"),
        ((4, 4, 3), (3, 3, 1, 4), "multiple of the 3 channels"),
        ((4, 3), (3, 3, 1, 3), "do not fit each other"),
        ((4, 3), (1, 3), "do not fit each other"),
        ((2, 4, 0), (3, 1, 4), "has no channels"),
    ],
)
def test_kernels_that_do_not_fit_are_named(shape, kernel, message):
    with pytest.raises(UserError, match=message):
        depthwise_conv(jnp.zeros(shape), jnp.zeros(kernel))


def test_a_multiplier_of_zero_and_another_dtype_of_derivatives_are_refused():
    x, kernel = jnp.zeros((4, 2)), jnp.zeros((3, 1, 2))
    with pytest.raises(UserError, match="multiplier=0"):
        DepthwiseConv((3,), multiplier=0).init(jax.random.key(0), x)
    with pytest.raises(UserError, match="bfloat16"):
        depthwise_conv_backward(x, kernel, x.astype(jnp.bfloat16))
