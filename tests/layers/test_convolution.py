"""Convolution against a plain loop, and its CPU forms against XLA's own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnlab.errors import UserError
from cnnlab.layers.convolution import NUMBERS, conv2d

# Image, kernel (height, width, in, out), padding: what each CPU form is for, and what none is.
CASES = {
    "c1 of LeNet-5, 4 columns": ((2, 12, 12, 1), (5, 5, 1, 6), "VALID"),
    "c1 with padding": ((2, 8, 8, 1), (5, 5, 1, 6), ((2, 2), (2, 2))),
    "c3, 2 columns": ((2, 9, 10, 6), (5, 5, 6, 4), "VALID"),
    "color, SAME, not square": ((2, 7, 8, 3), (3, 5, 3, 4), "SAME"),
    "even kernel, uneven padding": ((1, 6, 7, 2), (2, 4, 2, 3), ((0, 1), (3, 1))),
    "c5, the whole image": ((3, 5, 5, 16), (5, 5, 16, 7), "VALID"),
    "the whole padded image": ((3, 4, 3, 2), (5, 5, 2, 7), ((1, 0), (0, 2))),
    "odd width": ((2, 7, 7, 1), (3, 3, 1, 4), "VALID"),
    "many channels": ((2, 6, 6, 8), (3, 3, 8, 4), "VALID"),
    "kernel higher than the image": ((2, 2, 8, 1), (3, 1, 1, 3), "VALID"),
}
IN_PRODUCTS = list(CASES)[:7]
each_case = pytest.mark.parametrize("name", CASES)


def native(x, kernel, strides=(1, 1), padding="VALID", **general):
    return lax.conv_general_dilated(
        x, kernel, strides, padding, dimension_numbers=NUMBERS, **general
    )


def arrays(name, dtype=jnp.float32):
    shape, kernel_shape, padding = CASES[name]
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=s), dtype) for s in (shape, kernel_shape))
    return x, kernel, padding


def close(ours, expected, tolerance=1e-5):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def loop(x, kernel, pads):
    """The sum over window places, in float64."""
    x = np.pad(np.asarray(x, np.float64), ((0, 0), *pads, (0, 0)))
    kernel = np.asarray(kernel, np.float64)
    kh, kw = kernel.shape[:2]
    ho, wo = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    return sum(x[:, i : i + ho, j : j + wo] @ kernel[i, j] for i in range(kh) for j in range(kw))


@pytest.mark.parametrize("name", [n for n in IN_PRODUCTS if CASES[n][2] != "SAME"])
def test_values_equal_a_plain_loop(name):
    x, kernel, padding = arrays(name)
    pads = ((0, 0), (0, 0)) if padding == "VALID" else padding
    close(jax.jit(lambda x, k: conv2d(x, k, (1, 1), padding))(x, kernel), loop(x, kernel, pads))


@each_case
def test_values_and_gradients_equal_those_of_xla(name):
    x, kernel, padding = arrays(name)
    dy = jnp.cos(jnp.arange(native(x, kernel, (1, 1), padding).size, dtype=jnp.float32))

    def both(convolve):
        @jax.jit
        def pulled_back(x, kernel, dy):
            y, pullback = jax.vjp(lambda x, k: convolve(x, k, (1, 1), padding), x, kernel)
            return y, pullback(dy.reshape(y.shape))

        return pulled_back(x, kernel, dy)

    close(both(conv2d), both(native), 3e-5)


@pytest.mark.parametrize("name", ["c3, 2 columns", "c5, the whole image"])
def test_forward_mode_and_second_derivatives_equal_those_of_xla(name):
    x, kernel, padding = arrays(name)

    def curvature(convolve):
        def energy(k):
            return jnp.sum(jnp.tanh(convolve(x, k, (1, 1), padding)))

        return jax.jit(lambda k: jax.jvp(jax.grad(energy), (k,), (jnp.cos(k),)))(kernel)

    close(curvature(conv2d), curvature(native), 1e-4)


@pytest.mark.parametrize(
    ("strides", "general"),
    [
        ((2, 2), {}),
        ((1, 2), {}),
        ((1, 1), {"rhs_dilation": (2, 2)}),
        ((1, 1), {"lhs_dilation": (1, 2)}),
        ((1, 1), {"feature_group_count": 2}),
    ],
)
def test_strides_dilations_and_groups_are_those_of_xla(strides, general):
    groups = general.get("feature_group_count", 1)
    x = jax.random.normal(jax.random.key(0), (2, 10, 10, 2))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 2 // groups, 4))
    pads = ((0, 0), (0, 0))
    ours = conv2d(x, kernel, strides, pads, **general)
    np.testing.assert_array_equal(ours, native(x, kernel, strides, pads, **general))


@each_case
def test_the_product_takes_the_place_of_the_convolution_on_cpu_alone(name):
    x, kernel, padding = arrays(name)
    gradients = jax.jit(
        jax.grad(lambda x, k: jnp.sum(conv2d(x, k, (1, 1), padding) ** 2), argnums=(0, 1))
    )
    traced = gradients.trace(x, kernel)
    for platform in ("cpu", "cuda", "tpu"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        product = platform == "cpu" and name in IN_PRODUCTS
        assert ("stablehlo.convolution" in text) != product
        assert ("stablehlo.dot_general" in text) == product


def test_another_layout_is_refused():
    with pytest.raises(UserError, match="NCHW"):
        layout = ("NCHW", "OIHW", "NCHW")
        conv2d(jnp.zeros((2, 1, 8, 8)), jnp.zeros((4, 1, 3, 3)), dimension_numbers=layout)


def test_vmap_and_pmap_equal_one_call_each():
    x = jax.random.normal(jax.random.key(0), (3, 2, 8, 8, 1))
    kernels = jax.random.normal(jax.random.key(1), (3, 5, 5, 1, 4))
    expected = [native(a, k) for a, k in zip(x, kernels, strict=True)]
    close(list(jax.vmap(conv2d)(x, kernels)), expected)
    close(list(jax.pmap(conv2d)(x, kernels)), expected)


def test_a_flax_convolution_takes_it_in():
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    plain = nn.Conv(4, (3, 3), padding="SAME", bias_init=nn.initializers.normal())
    variables = plain.init(jax.random.key(1), x)
    ours = plain.clone(conv_general_dilated=conv2d)
    close(ours.apply(variables, x), plain.apply(variables, x))


@pytest.mark.parametrize("name", ["c3, 2 columns", "c5, the whole image"])
def test_bfloat16_is_kept_and_rounded_once(name):
    x, kernel, padding = arrays(name, jnp.bfloat16)
    y = jax.jit(lambda x, k: conv2d(x, k, (1, 1), padding))(x, kernel)
    assert y.dtype == jnp.bfloat16
    exact = loop(x, kernel, ((0, 0), (0, 0)))
    np.testing.assert_allclose(y.astype(jnp.float32), exact, rtol=2**-8, atol=1e-2)
