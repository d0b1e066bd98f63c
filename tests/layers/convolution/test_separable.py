"""Depthwise separable convolution: a factored convolution, and what it saves."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import Conv, conv
from cnnlab.layers.convolution.depthwise import depthwise_conv
from cnnlab.layers.convolution.separable import SeparableConv, separable_conv


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_it_is_the_convolution_with_the_product_of_both_kernels():
    x, depthwise, pointwise, bias = (
        normal(n, *s) for n, s in enumerate([(2, 6, 5, 3), (3, 3, 1, 6), (1, 1, 6, 4), (4,)])
    )
    by_channel = depthwise.reshape(3, 3, 3, 2)
    product = jnp.einsum("uvcm, cmo -> uvco", by_channel, pointwise.reshape(3, 2, 4))
    args = dict(stride=2, padding=1, padding_mode="reflect", dilation=2)
    np.testing.assert_allclose(
        separable_conv(x, depthwise, pointwise, bias, **args),
        conv(x, product, bias, **args),
        rtol=1e-4,
        atol=1e-5,
    )


def weights(module, channels=64):
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 8, 8, channels)))
    return sum(p.size for p in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("channels", [16, 64])
def test_weights_are_one_nth_and_one_ninth_of_a_convolutions(channels):
    separable = weights(SeparableConv(512, (3, 3), use_bias=False), channels)
    full = weights(Conv(512, (3, 3), use_bias=False), channels)
    assert separable == 9 * channels + channels * 512
    np.testing.assert_allclose(separable / full, 1 / 512 + 1 / 9, rtol=1e-12)
    np.testing.assert_allclose(separable / full, 0.11306, atol=5e-6)


def test_norm_and_activation_stand_between():
    x = normal(0, 2, 4, 4, 3)
    module = SeparableConv(
        5, (3, 3), norm=partial(nn.BatchNorm, use_running_average=False), act=nn.relu
    )
    variables = jax.jit(module.init)(jax.random.key(0), x)
    params = variables["params"]
    y, _ = jax.jit(partial(module.apply, mutable=["batch_stats"]))(variables, x)
    between = depthwise_conv(x, params["depthwise"]["kernel"])
    normed = (between - between.mean((0, 1, 2))) / jnp.sqrt(between.var((0, 1, 2)) + 1e-5)
    expected = jax.nn.relu(normed) @ params["pointwise"]["kernel"][0, 0]
    np.testing.assert_allclose(y, expected + params["pointwise"]["bias"], rtol=1e-4, atol=1e-5)
    assert "bias" not in params["depthwise"]


@pytest.mark.parametrize("norm", [None, nn.LayerNorm])
@pytest.mark.parametrize("act", [None, nn.relu])
def test_the_depthwise_part_has_a_bias_only_where_it_says_something(norm, act):
    init = SeparableConv(2, (3, 3), norm=norm, act=act).init
    params = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 4, 4, 3)))["params"]
    assert ("bias" in params["depthwise"]) == (norm is None and act is not None)


def test_a_pointwise_kernel_with_a_window_is_refused():
    x, depthwise = jnp.zeros((4, 4, 2)), jnp.zeros((3, 3, 1, 2))
    for pointwise in ((3, 3, 2, 4), (1, 2, 4)):
        with pytest.raises(UserError, match="needs a window of 1 on each of the 2 axes"):
            separable_conv(x, depthwise, jnp.zeros(pointwise))
