"""Lightweight and dynamic convolution: softmax taps, shared by heads, predicted by steps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.convolution.lightweight import (
    DynamicConv,
    LightConv,
    LightConvBlock,
    dynamic_conv,
    light_conv,
    normalize,
)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def loop(x, kernels, causal):
    """The definition, with 1-based steps as in the paper; kernels [t, k, heads]."""
    (steps, d), (_, k, heads) = x.shape, kernels.shape
    taps = np.exp(kernels) / np.exp(kernels).sum(1, keepdims=True)
    y = np.zeros(x.shape)
    for i in range(1, steps + 1):
        for c in range(1, d + 1):
            head = -(-c * heads // d)
            for j in range(1, k + 1):
                at = i + j - k if causal else i + j - -(-(k + 1) // 2)
                if 1 <= at <= steps:
                    y[i - 1, c - 1] += taps[i - 1, j - 1, head - 1] * x[at - 1, c - 1]
    return y


def test_the_taps_of_the_lecture_and_their_softmax():
    taps = normalize(jnp.array([1.0, 2.0, 1.0]), 0)
    np.testing.assert_allclose(taps, [0.211942, 0.576117, 0.211942], atol=5e-7)
    impulse = jnp.array([0.0, 0, 1, 0, 0])[:, None]
    y = light_conv(impulse, jnp.array([[1.0], [2.0], [1.0]]))[:, 0]
    np.testing.assert_allclose(y, [0, 0.211942, 0.576117, 0.211942, 0], atol=5e-7)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("k", "heads"), [(1, 1), (3, 2), (4, 3), (5, 6), (9, 2)])
def test_both_equal_a_plain_loop_over_the_papers_equations(k, heads, causal):
    x, kernel, kernels = normal(0, 7, 6), normal(1, k, heads), normal(2, 7, k, heads)
    of_all = np.broadcast_to(kernel, (7, k, heads))
    light = jax.jit(partial(light_conv, causal=causal))(x, kernel)
    dynamic = jax.jit(partial(dynamic_conv, causal=causal))(x, kernels)
    np.testing.assert_allclose(light, loop(x, of_all, causal), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dynamic, loop(x, kernels, causal), rtol=1e-5, atol=1e-6)


def test_equal_kernels_at_all_steps_make_the_dynamic_one_lightweight():
    x, kernel = normal(0, 2, 6, 4), normal(1, 3, 2)
    everywhere = jnp.broadcast_to(kernel, (2, 6, 3, 2))
    np.testing.assert_allclose(
        dynamic_conv(x, everywhere), light_conv(x, kernel), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_causal_block_does_not_see_later_steps(dynamic):
    block = LightConvBlock(3, heads=2, dynamic=dynamic, causal=True)
    x = normal(0, 6, 4).astype(jnp.float32)
    variables = block.init(jax.random.key(0), x)
    jacobian = jax.jit(jax.jacobian(lambda x: block.apply(variables, x)))(x)
    sees = np.abs(jacobian).sum((1, 3)) > 0
    steps = np.arange(6)
    back = steps[:, None] - steps
    np.testing.assert_array_equal(sees, (back >= 0) & (back < 3))


def test_a_dynamic_kernel_depends_on_its_own_step_alone():
    x = normal(0, 6, 4).astype(jnp.float32)
    module = DynamicConv(3, heads=2)
    variables = module.init(jax.random.key(0), x)
    weights = variables["params"]["predict"]["kernel"]
    kernels = (x @ weights).reshape(6, 3, 2)
    np.testing.assert_allclose(
        module.apply(variables, x), dynamic_conv(x, kernels), rtol=1e-5, atol=1e-6
    )


def test_gradients_equal_finite_differences():
    with jax.enable_x64(True):
        check_grads(jax.jit(light_conv), (normal(0, 2, 5, 4), normal(1, 3, 2)), order=1)
        check_grads(jax.jit(dynamic_conv), (normal(0, 5, 4), normal(1, 5, 3, 2)), order=1)


def test_weights_are_as_many_as_the_paper_says():
    x = jnp.zeros((1, 6, 8))
    count = lambda module: sum(  # noqa: E731
        p.size for p in jax.tree.leaves(jax.eval_shape(module.init, jax.random.key(0), x))
    )
    assert count(LightConv(3, heads=4)) == 4 * 3
    assert count(DynamicConv(3, heads=4)) == 8 * 4 * 3
    assert count(LightConvBlock(3, heads=4)) == 8 * 16 + 16 + 4 * 3 + 8 * 8 + 8


def test_the_block_is_linear_glu_convolution_linear():
    x = normal(0, 2, 5, 4).astype(jnp.float32)
    block = LightConvBlock(3, heads=2)
    variables = block.init(jax.random.key(0), x)
    p = variables["params"]
    both = x @ p["in"]["kernel"] + p["in"]["bias"]
    gated = both[..., :4] * jax.nn.sigmoid(both[..., 4:])
    mixed = light_conv(gated, p["conv"]["kernel"])
    expected = mixed @ p["out"]["kernel"] + p["out"]["bias"]
    np.testing.assert_allclose(block.apply(variables, x), expected, rtol=1e-5, atol=1e-6)


def test_dropped_taps_are_zero_and_the_mean_stays():
    kernel = normal(0, 5, 4000).astype(jnp.float32)
    whole, dropped = normalize(kernel, 0), normalize(kernel, 0, 0.25, jax.random.key(0))
    gone = dropped == 0
    np.testing.assert_allclose(gone.mean(), 0.25, atol=0.01)
    np.testing.assert_allclose(dropped[~gone], (whole / 0.75)[~gone], rtol=1e-5)


@pytest.mark.parametrize("module", [LightConv, DynamicConv])
def test_taps_drop_only_in_training_and_by_the_dropout_stream(module):
    x = normal(0, 8, 4).astype(jnp.float32)
    layer = module(3, heads=2, drop_rate=0.5)
    variables = layer.init(jax.random.key(0), x)
    train = partial(layer.apply, variables, x, train=True)
    one, again, other = (train(rngs={"dropout": jax.random.key(n)}) for n in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    without = module(3, heads=2)
    np.testing.assert_array_equal(layer.apply(variables, x), without.apply(variables, x))


def test_the_softmax_of_bfloat16_taps_is_taken_in_float32():
    kernel = jnp.zeros((300, 1), jnp.bfloat16)
    taps = normalize(kernel, 0)
    assert taps.dtype == jnp.bfloat16
    np.testing.assert_allclose(taps.astype(jnp.float32), 1 / 300, rtol=2**-8)
    y = light_conv(jnp.ones((5, 2), jnp.bfloat16), jnp.zeros((3, 1), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16


def test_an_empty_batch_stays_empty():
    assert light_conv(jnp.zeros((0, 5, 4)), jnp.zeros((3, 2))).shape == (0, 5, 4)
    assert dynamic_conv(jnp.zeros((0, 5, 4)), jnp.zeros((0, 5, 3, 2))).shape == (0, 5, 4)


def test_what_does_not_fit_is_named():
    x = jnp.zeros((5, 4))
    with pytest.raises(UserError, match="3 heads must divide the 4 channels"):
        light_conv(x, jnp.zeros((3, 3)))
    with pytest.raises(UserError, match="has no taps"):
        dynamic_conv(x, jnp.zeros((5, 0, 2)))
    with pytest.raises(UserError, match="bfloat16: cast"):
        light_conv(x, jnp.zeros((3, 2), jnp.bfloat16))
    with pytest.raises(UserError, match=r"drop_rate=0\.1 needs a key"):
        light_conv(x, jnp.zeros((3, 2)), drop_rate=0.1)
    with pytest.raises(UserError, match=r"drop_rate=1.0 must be in \[0, 1\)"):
        light_conv(x, jnp.zeros((3, 2)), drop_rate=1.0)
