"""The written-out backward pass of transposed convolution equals automatic differentiation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.transposed import conv_transpose, swap_convention
from cnnlab.layers.convolution.transposed_backward import conv_transpose_backward

# Shape of x, shape of the adjoint kernel, arguments.
CASES = {
    "1-D, stride 2": ((2, 5, 3), (3, 2, 3), dict(stride=2, padding=1, output_padding=1)),
    "2-D, SAME": ((2, 3, 4, 2), (4, 3, 3, 2), dict(stride=(2, 3))),
    "groups": ((1, 3, 3, 6), (3, 3, 2, 6), dict(stride=2, padding=0, groups=3)),
    "stride above the kernel": ((1, 3, 2, 2), (2, 1, 1, 2), dict(stride=3)),
    "dilated": ((2, 4, 4, 2), (3, 3, 1, 2), dict(padding=1, dilation=2, output_padding=1)),
    "more padding than window": ((1, 7, 2), (3, 2, 2), dict(padding=3)),
    "3-D": ((1, 2, 2, 3, 2), (2, 1, 3, 1, 2), dict(stride=2, padding=((0, 1), (0, 0), (1, 0)))),
    "no batch axis": ((4, 2), (3, 2, 2), dict(stride=2)),
}


@pytest.mark.parametrize(
    ("name", "convention"),
    [
        *((name, "adjoint") for name in CASES),
        *((n, "flax") for n in ("groups", "2-D, SAME", "3-D")),
    ],
)
def test_it_equals_automatic_differentiation(name, convention):
    shape, kernel_shape, kwargs = CASES[name]
    groups = kwargs.get("groups", 1)
    if convention == "flax":
        kwargs = {k: v for k, v in kwargs.items() if k != "output_padding"}
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, kernel = (jnp.asarray(rng.normal(size=s)) for s in (shape, kernel_shape))
        if convention == "flax":
            kernel = swap_convention(kernel, groups)
        bias = jnp.zeros(kernel_shape[-2] * groups)
        run = partial(conv_transpose, convention=convention, **kwargs)
        y, pullback = jax.vjp(jax.jit(run), x, kernel, bias)
        dy = jnp.asarray(rng.normal(size=y.shape))
        backward = partial(conv_transpose_backward, convention=convention, **kwargs)
        ours = jax.jit(backward)(x, kernel, dy)
        for one, other in zip(ours, pullback(dy), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_the_input_gradient_is_the_strided_convolution_with_the_same_kernel():
    rng = np.random.default_rng(0)
    x, kernel, dy = (
        jnp.asarray(rng.integers(-3, 4, s), jnp.float32)
        for s in ((2, 3, 3, 2), (3, 3, 4, 2), (2, 7, 7, 4))
    )
    dx, _, _ = jax.jit(partial(conv_transpose_backward, stride=2, padding=0))(x, kernel, dy)
    np.testing.assert_array_equal(dx, conv(dy, kernel, stride=2, padding=0))


def test_sums_over_a_batch_are_not_rounded_to_bfloat16():
    x, kernel = jnp.ones((1000, 1, 1), jnp.bfloat16), jnp.ones((1, 1, 1), jnp.bfloat16)
    _, dkernel, dbias = jax.jit(conv_transpose_backward)(x, kernel, x)
    assert dkernel.dtype == jnp.bfloat16
    assert float(dkernel[0, 0, 0]) == float(dbias[0]) == 1000


def test_derivatives_of_another_shape_are_refused():
    x, kernel = jnp.zeros((1, 3, 2)), jnp.zeros((3, 4, 2))
    with pytest.raises(UserError, match=r"the output is \(1, 6, 4\)"):
        conv_transpose_backward(x, kernel, jnp.zeros((1, 5, 4)), stride=2)
