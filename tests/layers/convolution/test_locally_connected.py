"""Locally connected layers: a convolution whose kernels differ, forward and backward."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.locally_connected import (
    LocallyConnected,
    local_conv,
    local_conv_backward,
)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


# x, window, size of the output, arguments.
CASES = {
    "1-D": ((2, 7, 3), (3,), (4,), dict(stride=2)),
    "2-D": ((2, 5, 4, 2), (3, 2), (3, 3), dict(padding="VALID")),
    "dilated, uneven": ((2, 6, 5, 2), (2, 3), (5, 4), dict(dilation=2, padding=((1, 0), (0, 3)))),
    "the end is not seen": ((1, 7, 2), (2,), (2,), dict(stride=4, padding="VALID")),
    "3-D": ((2, 3, 2, 3, 2), (2, 1, 3), (2, 2, 2), dict(stride=2, padding=1)),
    "no batch axis": ((5, 4, 1), (3, 3), (5, 4), {}),
}
each_case = pytest.mark.parametrize("name", CASES)


def arrays(name, c_out=2):
    shape, window, out, kwargs = CASES[name]
    kernel = normal(1, *out, *window, shape[-1], c_out)
    return normal(0, *shape), kernel, normal(2, *out, c_out), kwargs


@each_case
def test_equal_kernels_make_a_convolution(name):
    x, kernel, _, kwargs = arrays(name)
    shared = kernel[(0,) * ((kernel.ndim - 2) // 2)]
    everywhere = jnp.broadcast_to(shared, kernel.shape)
    y = jax.jit(partial(local_conv, **kwargs))(x, everywhere)
    expected = jax.jit(partial(conv, **kwargs))(x, shared)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_each_place_has_its_own_kernel_and_bias():
    x, kernel, bias, kwargs = arrays("dilated, uneven")
    y = jax.jit(partial(local_conv, **kwargs))(x, kernel, bias)
    for place in [(0, 0), (2, 1), (4, 3)]:
        alone = conv(x, kernel[place], **kwargs)[(slice(None), *place)] + bias[place]
        np.testing.assert_allclose(y[(slice(None), *place)], alone, rtol=1e-5, atol=1e-5)


def test_flax_has_the_same_with_patches_by_channel():
    x = normal(0, 2, 5, 6, 3).astype(jnp.float32)
    theirs = nn.ConvLocal(4, (2, 3), strides=(1, 2), padding="VALID")
    variables = theirs.init(jax.random.key(0), x)
    params = variables["params"]
    by_channel = params["kernel"].reshape(4, 2, 3, 2, 3, 4)
    ours = {"kernel": jnp.moveaxis(by_channel, 2, -2), "bias": params["bias"] + 1}
    module = LocallyConnected(4, (2, 3), stride=(1, 2), padding="VALID")
    expected = theirs.apply(variables, x) + 1
    np.testing.assert_allclose(module.apply({"params": ours}, x), expected, rtol=1e-5, atol=1e-5)


@each_case
def test_the_written_backward_pass_equals_automatic_differentiation(name):
    with jax.enable_x64(True):
        x, kernel, bias, kwargs = arrays(name)
        y, pullback = jax.vjp(jax.jit(partial(local_conv, **kwargs)), x, kernel, bias)
        dy = normal(3, *y.shape)
        ours = jax.jit(partial(local_conv_backward, **kwargs))(x, kernel, dy)
        for one, other in zip(ours, pullback(dy), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_gradients_equal_finite_differences():
    with jax.enable_x64(True):
        x, kernel, bias, kwargs = arrays("2-D")
        check_grads(jax.jit(partial(local_conv, **kwargs)), (x, kernel, bias), order=1)


def test_weights_are_those_of_a_convolution_for_each_place():
    init = jax.jit(LocallyConnected(8, (3, 3)).init)
    params = init(jax.random.key(0), jnp.zeros((2, 6, 5, 4)))["params"]
    assert sum(p.size for p in params.values()) == 6 * 5 * (9 * 4 + 1) * 8
    np.testing.assert_allclose(jnp.std(params["kernel"]), (2 / 36) ** 0.5, rtol=0.03)
    init = LocallyConnected(8, (3,), use_bias=False).init
    bare = jax.eval_shape(init, jax.random.key(0), jnp.zeros((2, 6, 4)))
    assert list(bare["params"]) == ["kernel"]


def test_an_empty_batch_stays_empty_and_leaves_zero_gradients():
    x, kernel, _, kwargs = arrays("2-D")
    y = local_conv(x[:0], kernel, **kwargs)
    assert y.shape == (0, 3, 3, 2)
    backward = jax.jit(partial(local_conv_backward, **kwargs))
    _, dkernel, dbias = backward(x[:0], kernel, y)
    assert not dkernel.any()
    assert not dbias.any()


@pytest.mark.parametrize(
    ("shape", "kernel", "message"),
    [
        ((4, 2), (4, 3, 3, 2, 2), r"must be \[\*out, \*window, c_in, c_out\]"),
        ((4, 2), (2, 2), r"must be \[\*out, \*window, c_in, c_out\]"),
        ((4, 2), (4, 3, 3, 2), "3 channels"),
        ((4, 2), (4, 4, 3, 3, 2, 2), "needs 2 spatial axes"),
        ((5, 2), (4, 3, 2, 2), r"is for outputs of \(4,\), x \(5, 2\) gives \(5,\)"),
    ],
)
def test_kernels_that_do_not_fit_are_named(shape, kernel, message):
    with pytest.raises(UserError, match=message):
        local_conv(jnp.zeros(shape), jnp.zeros(kernel))


def test_a_bias_dtype_rank_or_derivative_that_does_not_fit_is_named():
    x, kernel = jnp.zeros((4, 2)), jnp.zeros((4, 3, 2, 5))
    with pytest.raises(UserError, match=r"bias \(5,\) must be .* \(4, 5\)"):
        local_conv(x, kernel, jnp.zeros(5))
    with pytest.raises(UserError, match="kernel bfloat16"):
        local_conv(x, kernel.astype(jnp.bfloat16))
    with pytest.raises(UserError, match=r"the output is \(4, 5\)"):
        local_conv_backward(x, kernel, jnp.zeros((3, 5)))
    with pytest.raises(UserError, match="needs 2 spatial axes"):
        LocallyConnected(2, (3, 3)).init(jax.random.key(0), x)
