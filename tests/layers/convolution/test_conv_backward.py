"""The written backward pass: the slide's numbers, finite differences, and JAX's own derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.conv_backward import conv_backward

# x, kernel, arguments.
CASES = {
    "slide's setting": ((1, 3, 3, 1), (2, 2, 1, 1), {"padding": "VALID"}),
    "1-D, stride leaves values over": ((2, 9, 2), (3, 2, 4), {"stride": 4, "padding": "VALID"}),
    "1-D causal, dilated": ((2, 9, 2), (3, 2, 4), {"padding": "CAUSAL", "dilation": 2}),
    "SAME, even and odd": ((2, 5, 6, 3), (2, 3, 3, 4), {}),
    "SAME, strides": ((2, 7, 6, 3), (3, 3, 3, 4), {"stride": (2, 3)}),
    "stride above the window": ((1, 8, 7, 2), (1, 2, 2, 3), {"stride": 3, "padding": "VALID"}),
    "dilation and stride": ((1, 9, 8, 2), (3, 2, 2, 3), {"dilation": (2, 3), "stride": 2}),
    "uneven padding": ((1, 5, 6, 2), (3, 4, 2, 3), {"padding": ((0, 2), (3, 1))}),
    "padding beyond the window": ((1, 4, 4, 2), (2, 2, 2, 3), {"padding": 3, "stride": 2}),
    "groups": ((2, 5, 5, 4), (3, 3, 2, 6), {"groups": 2, "stride": 2}),
    "depthwise": ((2, 5, 5, 4), (3, 3, 1, 8), {"groups": 4, "padding": 1}),
    "circular": ((2, 5, 6, 2), (3, 4, 2, 3), {"padding_mode": "circular"}),
    "circular, all the way round": (
        (1, 3, 4, 2),
        (3, 3, 2, 3),
        {"padding_mode": "circular", "padding": (3, 4), "stride": 2},
    ),
    "reflect": ((2, 5, 7, 2), (3, 3, 2, 3), {"padding_mode": "reflect", "padding": 2}),
    "more than one batch axis": ((2, 3, 5, 4, 2), (3, 3, 2, 3), {"stride": 2}),
    "no batch axis": ((5, 4, 2), (3, 3, 2, 3), {"padding_mode": "reflect"}),
    "3-D, all at once": (
        (2, 5, 4, 6, 4),
        (2, 2, 3, 2, 4),
        {"stride": (2, 1, 2), "dilation": (1, 2, 1), "groups": 2, "padding": (1, 0, 2)},
    ),
}
each_case = pytest.mark.parametrize("name", CASES)


def arrays(name, dtype=float):
    x, kernel, keywords = CASES[name]
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=s), dtype) for s in (x, kernel))
    y = jax.eval_shape(lambda x, k: conv(x, k, **keywords), x, kernel)
    return x, kernel, jnp.asarray(rng.normal(size=y.shape), dtype), keywords


def test_the_slide():
    x = jnp.arange(1.0, 10).reshape(1, 3, 3, 1)
    kernel = jnp.arange(1.0, 5).reshape(2, 2, 1, 1)
    dy = jnp.asarray([[1.0, 0], [0, 2]]).reshape(1, 2, 2, 1)
    dx, dkernel, dbias = conv_backward(x, kernel, dy, padding="VALID")
    np.testing.assert_array_equal(dkernel[:, :, 0, 0], [[11, 14], [20, 23]])
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 2, 0], [3, 6, 4], [0, 6, 8]])
    np.testing.assert_array_equal(dbias, [3])


@each_case
@pytest.mark.sample(6)
def test_it_is_what_automatic_differentiation_gives(name):
    with jax.enable_x64(True):
        x, kernel, dy, keywords = arrays(name)
        bias = jnp.zeros(kernel.shape[-1])

        @jax.jit
        def both(x, kernel, dy):
            _, pullback = jax.vjp(lambda *a: conv(*a, **keywords), x, kernel, bias)
            return conv_backward(x, kernel, dy, **keywords), pullback(dy)

        written, automatic = both(x, kernel, dy)
        for one, other in zip(written, automatic, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["SAME, strides", "groups", "circular", "3-D, all at once"])
def test_it_equals_finite_differences(name):
    """Convolution is linear in each argument, so a central difference has no error but rounding."""
    with jax.enable_x64(True):
        x, kernel, dy, keywords = arrays(name)
        bias = jnp.ones(kernel.shape[-1])
        loss = jax.jit(lambda *a: jnp.vdot(conv(*a, **keywords), dy))
        found = jax.jit(lambda *a: conv_backward(*a, **keywords))(x, kernel, dy)
        for argument, derivative in enumerate(found):
            arguments = [x, kernel, bias]
            for place in range(0, derivative.size, max(derivative.size // 12, 1)):
                ends = []
                for step in (1e-2, -1e-2):
                    moved = arguments[argument].ravel().at[place].add(step)
                    changed = moved.reshape(derivative.shape)
                    ends.append(loss(*arguments[:argument], changed, *arguments[argument + 1 :]))
                difference = (ends[0] - ends[1]) / 2e-2
                np.testing.assert_allclose(derivative.ravel()[place], difference, atol=1e-9)


def test_weights_of_a_shared_kernel_add_up_over_examples_and_windows():
    x, kernel, dy, keywords = arrays("groups", jnp.float32)
    backward = jax.jit(lambda x, dy: conv_backward(x, kernel, dy, **keywords))
    _, dkernel, dbias = backward(x, dy)
    parts = [backward(x[n : n + 1], dy[n : n + 1]) for n in range(2)]
    np.testing.assert_allclose(dkernel, parts[0][1] + parts[1][1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dbias, parts[0][2] + parts[1][2], rtol=1e-5, atol=1e-5)


def test_an_empty_batch_has_derivatives_of_zero():
    kernel = jnp.ones((3, 3, 2, 4))
    for groups, shape in ((1, (0, 5, 6, 2)), (2, (0, 5, 6, 4))):
        backward = jax.jit(lambda *a, groups=groups: conv_backward(*a, groups=groups))
        dx, dkernel, dbias = backward(jnp.ones(shape), kernel, jnp.ones((0, 5, 6, 4)))
        assert dx.shape == shape
        assert dkernel.shape == kernel.shape
        assert not dkernel.any()
        assert not dbias.any()


def test_bfloat16_is_kept_and_the_bias_is_summed_in_float32():
    x, kernel = jnp.ones((1, 40, 40, 1), jnp.bfloat16), jnp.ones((1, 1, 1, 2), jnp.bfloat16)
    found = conv_backward(x, kernel, jnp.ones((1, 40, 40, 2), jnp.bfloat16))
    assert {a.dtype for a in found} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_array_equal(found[2].astype(jnp.float32), [1600, 1600])


@pytest.mark.parametrize(
    ("dy", "keywords", "message"),
    [
        ((2, 4, 6, 4), {}, r"dy \(2, 4, 6, 4\) for x \(2, 5, 6, 2\): the output is \(2, 5, 6, 4\)"),
        ((1, 3, 3, 4), {"stride": 2}, r"the output is \(2, 3, 3, 4\)"),
        ((2, 5, 6, 4), {"groups": 4}, r"groups=4 must divide"),
        ((2, 5, 6, 4), {"padding": -1}, r"padding=-1 must be"),
    ],
)
def test_what_cannot_be_is_named(dy, keywords, message):
    with pytest.raises(UserError, match="conv_backward: .*" + message):
        conv_backward(jnp.ones((2, 5, 6, 2)), jnp.ones((3, 3, 2, 4)), jnp.ones(dy), **keywords)


def test_another_dtype_is_named():
    x, kernel = jnp.ones((2, 5, 6, 2)), jnp.ones((3, 3, 2, 4))
    with pytest.raises(UserError, match="dy has dtype bfloat16 and x float32"):
        conv_backward(x, kernel, jnp.ones((2, 5, 6, 4), jnp.bfloat16))
