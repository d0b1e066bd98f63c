"""Convolution against the slide, a plain loop, numpy.pad, and what must hold of any convolution."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import Conv, check, conv
from cnnlab.layers.convolution.im2col import conv_im2col

# x, kernel, arguments: what numpy.pad gets, then everything else by the loop.
CASES = {
    "1-D": ((2, 9, 4), (3, 4, 5), {"padding": "VALID"}),
    "1-D causal, dilated": ((2, 9, 2), (3, 2, 5), {"padding": "CAUSAL", "dilation": 2}),
    "2-D, SAME": ((2, 7, 6, 3), (3, 2, 3, 4), {}),
    "strides": ((2, 7, 8, 3), (3, 3, 3, 4), {"stride": (2, 3)}),
    "dilation": ((1, 9, 8, 2), (3, 2, 2, 3), {"dilation": (2, 3), "padding": "VALID"}),
    "uneven padding": ((1, 5, 6, 2), (3, 4, 2, 3), {"padding": ((0, 2), (3, 1))}),
    "groups": ((2, 6, 6, 6), (3, 3, 2, 9), {"groups": 3}),
    "depthwise": ((2, 6, 5, 4), (3, 3, 1, 4), {"groups": 4, "padding": 1}),
    "circular": ((2, 5, 6, 2), (3, 3, 2, 3), {"padding_mode": "circular"}),
    "reflect, stride": ((2, 5, 7, 2), (3, 3, 2, 3), {"padding_mode": "reflect", "stride": 2}),
    "one value": ((2, 5, 6, 3), (1, 1, 3, 4), {}),
    "one value, stride": ((2, 5, 6, 3), (1, 1, 3, 4), {"stride": 2}),
    "padding of one value": ((2, 4, 4, 3), (1, 1, 3, 4), {"padding": 1}),
    "3-D": ((2, 4, 5, 6, 2), (2, 3, 3, 2, 3), {}),
    "3-D, all at once": (
        (1, 6, 5, 7, 4),
        (2, 2, 3, 2, 4),
        {"stride": (2, 1, 2), "dilation": (1, 2, 1), "groups": 2, "padding": (1, 0, 2)},
    ),
    "stem": ((1, 9, 9, 3), (7, 7, 3, 4), {"stride": 2, "padding": 3}),
    "color, whole image": ((2, 5, 5, 3), (5, 5, 3, 4), {"padding": "VALID"}),
}
MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect"}
each_case = pytest.mark.parametrize("name", CASES)


def arrays(name, dtype=jnp.float32):
    *shapes, keywords = CASES[name]
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=s), dtype) for s in shapes)
    bias = jnp.asarray(rng.normal(size=kernel.shape[-1:]), dtype)
    return x, kernel, bias, keywords


def loop(x, kernel, bias, *, stride=1, padding="SAME", padding_mode="zeros", dilation=1, groups=1):
    """The definition, a window and a filter at a time, in float64."""
    x, kernel, bias = (np.asarray(a, np.float64) for a in (x, kernel, bias))
    axes, (of_group, filters) = kernel.ndim - 2, kernel.shape[-2:]
    stride, dilation = (np.broadcast_to(value, axes) for value in (stride, dilation))
    size, spans = np.array(x.shape[1:-1]), dilation * (np.array(kernel.shape[:-2]) - 1) + 1
    if padding == "SAME":
        total = np.maximum((-(-size // stride) - 1) * stride + spans - size, 0)
        pads = np.stack([total // 2, total - total // 2], -1)
    elif padding == "CAUSAL":
        pads = np.stack([spans - 1, 0 * spans], -1)
    else:
        amounts = 0 if padding == "VALID" else padding
        pads = np.broadcast_to(np.reshape(amounts, (*np.shape(amounts)[:1], -1)), (axes, 2))
    x = np.pad(x, [(0, 0), *pads.tolist(), (0, 0)], MODES[padding_mode])
    out = (x.shape[1:-1] - spans) // stride + 1
    y = np.zeros((len(x), *out, filters))
    for n, o, *at in itertools.product(*map(range, (len(x), filters, *out))):
        first = o // (filters // groups) * of_group
        starts = at * stride
        window = [slice(*w) for w in zip(starts, starts + spans, dilation, strict=True)]
        seen = x[(n, *window, slice(first, first + of_group))]
        y[(n, *at, o)] = (seen * kernel[..., o]).sum() + bias[o]
    return y


def close(ours, expected, tolerance=1e-5):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_the_slide():
    image = jnp.arange(1.0, 10).reshape(1, 3, 3, 1)
    kernel = jnp.arange(1.0, 5).reshape(2, 2, 1, 1)
    y = conv(image, kernel, padding="VALID")
    np.testing.assert_array_equal(y[0, :, :, 0], [[37, 47], [67, 77]])


def test_taps_apart_see_the_difference_of_values_four_apart():
    x, kernel = jnp.arange(1.0, 8)[None, :, None], jnp.asarray([1.0, 0, -1])[:, None, None]
    y = conv(x, kernel, padding="VALID", dilation=2)
    np.testing.assert_array_equal(y.ravel(), [-4, -4, -4])


@each_case
def test_values_equal_a_plain_loop(name):
    x, kernel, bias, keywords = arrays(name)
    y = jax.jit(lambda *a: conv(*a, **keywords))(x, kernel, bias)
    close(y, loop(x, kernel, bias, **keywords), 1e-4)


@pytest.mark.parametrize("name", ["strides", "groups", "circular", "one value", "3-D"])
@pytest.mark.sample(2)
def test_gradients_of_gradients_equal_finite_differences(name):
    with jax.enable_x64(True):
        x, kernel, bias, keywords = arrays(name, jnp.float64)
        convolve = jax.jit(lambda *a: conv(*a, **keywords))
        check_grads(convolve, (x, kernel, bias), order=2, modes="rev", rtol=1e-6)


@each_case
@pytest.mark.sample(6)
def test_forward_mode_is_the_product_rule(name):
    x, kernel, bias, keywords = arrays(name)
    changes = [jnp.cos(3 * a) for a in (x, kernel, bias)]
    convolve = jax.jit(lambda *a: conv(*a, **keywords))
    _, dy = jax.jit(lambda *a: jax.jvp(convolve, a, tuple(changes)))(x, kernel, bias)
    dx, dkernel, dbias = changes
    close(dy, convolve(dx, kernel, dbias) + convolve(x, dkernel, 0 * bias), 1e-4)


@pytest.mark.parametrize("name", ["1-D", "strides", "circular", "3-D"])
@pytest.mark.sample(2)
def test_batch_axes_may_be_many_or_none(name):
    x, kernel, bias, keywords = arrays(name)
    y = conv(x, kernel, bias, **keywords)
    one = conv(x[0], kernel, bias, **keywords)
    close(one, y[0])
    many = conv(jnp.stack([x, 2 * x, x]), kernel, bias, **keywords)
    assert many.shape == (3, *y.shape)
    close(many[2], y)


def test_an_empty_batch_gives_empty_maps_and_gradients_of_zero():
    kernel, bias = jnp.ones((3, 3, 2, 4)), jnp.ones(4)
    for shape in ((0, 6, 8, 2), (3, 0, 6, 8, 2)):
        x = jnp.ones(shape)

        def total(x, kernel, bias):
            y = conv(x, kernel, bias, stride=2)
            assert y.shape == (*x.shape[:-3], 3, 4, 4)
            return y.sum()

        dx, dkernel, dbias = jax.grad(total, argnums=(0, 1, 2))(x, kernel, bias)
        assert dx.shape == x.shape
        assert not dkernel.any()
        assert not dbias.any()


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_shifted_images_give_shifted_maps(padding_mode):
    x = jax.random.normal(jax.random.key(0), (1, 9, 10, 2))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 3))
    y = conv(x, kernel, padding_mode=padding_mode)
    shifted = conv(jnp.roll(x, (2, 3), (1, 2)), kernel, padding_mode=padding_mode)
    expected = jnp.roll(y, (2, 3), (1, 2))
    if padding_mode == "zeros":
        # At the border zeros stand where the shift brings values in from the other side.
        assert not np.allclose(shifted, expected, atol=1e-3)
        shifted, expected = shifted[:, 3:-1, 4:-1], expected[:, 3:-1, 4:-1]
    close(shifted, expected)


def test_a_stride_keeps_every_other_output():
    x, kernel, bias, _ = arrays("stem")
    every = conv(x, kernel, bias, padding=3)
    close(conv(x, kernel, bias, padding=3, stride=(2, 3)), every[:, ::2, ::3])


def test_a_group_sees_its_own_channels():
    x, kernel, bias, keywords = arrays("groups")
    y = conv(x, kernel, bias, **keywords)
    other = conv(x.at[..., 2:4].add(1.0), kernel, bias, **keywords)
    changed = np.abs(other - y).max(axis=(0, 1, 2)) > 1e-3
    np.testing.assert_array_equal(changed, [False] * 3 + [True] * 3 + [False] * 3)


def test_vmap_over_images_and_kernels_equals_one_call_each():
    x = jax.random.normal(jax.random.key(0), (3, 2, 6, 6, 2))
    kernels = jax.random.normal(jax.random.key(1), (3, 3, 3, 2, 4))
    expected = jnp.stack([conv(a, k) for a, k in zip(x, kernels, strict=True)])
    close(jax.vmap(conv)(x, kernels), expected)


@pytest.mark.parametrize("name", ["2-D, SAME", "1-D", "3-D", "depthwise"])
def test_bfloat16_is_kept_and_near_the_exact_sum(name):
    x, kernel, bias, keywords = arrays(name, jnp.bfloat16)
    y = jax.jit(lambda *a: conv(*a, **keywords))(x, kernel, bias)
    assert y.dtype == jnp.bfloat16
    exact = loop(x, kernel, bias, **keywords)
    # The sum and the bias are each rounded once, to 8 bits.
    size = np.abs(exact) + 2 * np.abs(np.asarray(bias, np.float64))
    assert np.all(np.abs(y.astype(jnp.float32) - exact) <= 2**-7 * size + 1e-3)


X, KERNEL = (2, 8, 8, 4), (3, 3, 4, 6)


@pytest.mark.parametrize(
    ("x", "kernel", "keywords", "message"),
    [
        ((8, 8), KERNEL, {}, r"x \(8, 8\) needs 2 spatial axes and channels for kernel"),
        (X, (4, 6), {}, r"kernel \(4, 6\) needs 1 to 3 axes before its channels"),
        (X, (3, 3, 3, 3, 4, 6), {}, r"kernel .* needs 1 to 3 axes before its channels"),
        (X, (3, 3, 5, 6), {}, r"x has 4 channels in 1 group\(s\), the kernel .* takes 5"),
        (X, KERNEL, {"groups": 3}, r"groups=3 must divide the 4 channels of x and the 6 filters"),
        (X, (3, 3, 1, 6), {"groups": 4}, r"groups=4 must divide the 4 channels .* 6 filters"),
        (X, KERNEL, {"groups": 2}, r"x has 4 channels in 2 group\(s\), .* takes 4"),
        (X, KERNEL, {"groups": 0}, r"groups=0 must divide"),
        ((2, 2, 8, 4), KERNEL, {"padding": "VALID"}, r"window of 3 is larger than the input of 2"),
        (X, (0, 3, 4, 6), {}, r"window=\(0, 3\) must be whole and at least 1"),
        (X, KERNEL, {"padding": -1}, r"padding=-1 must be .* none negative"),
        (X, KERNEL, {"padding": "FULL"}, r"padding='FULL' is none of VALID, SAME, CAUSAL"),
        (X, KERNEL, {"padding_mode": "wrap"}, r"padding_mode='wrap' is none of zeros, circular"),
        (X, KERNEL, {"padding_mode": "reflect", "padding": 8}, r"padding \(8, 8\) .*'reflect'"),
        (X, KERNEL, {"padding_mode": "circular", "padding": 9}, r"padding \(9, 9\) .*'circular'"),
        (X, KERNEL, {"stride": 0}, r"stride=0 must be whole and at least 1"),
        (X, KERNEL, {"dilation": (1, 1, 1)}, r"dilation=\(1, 1, 1\) has 3 numbers for 2 axes"),
    ],
)
def test_what_cannot_be_is_named(x, kernel, keywords, message):
    with pytest.raises(UserError, match="conv: .*" + message):
        conv(jnp.ones(x), jnp.ones(kernel), **keywords)


def test_dtypes_and_bias_must_fit():
    x, kernel = jnp.ones(X), jnp.ones(KERNEL)
    with pytest.raises(UserError, match=r"conv: .* dtypes \['bfloat16', 'float32'\]: cast"):
        conv(x, kernel.astype(jnp.bfloat16))
    with pytest.raises(UserError, match=r"conv: .* dtypes \['float16', 'float32'\]"):
        conv(x, kernel, jnp.ones(6, jnp.float16))
    # Not `conv`, where the types that the tests check would speak first.
    with pytest.raises(UserError, match=r"conv: bias \(5,\) for 6 filters"):
        check(x, kernel, jnp.ones(5), 1, "conv")


@pytest.mark.parametrize(
    ("module", "count"),
    [
        (Conv(6, (5, 5)), 5 * 5 * 4 * 6 + 6),
        (Conv(6, (5, 5), use_bias=False), 5 * 5 * 4 * 6),
        (Conv(6, (3, 3), groups=2), 3 * 3 * 2 * 6 + 6),
        (Conv(3, (1,)), 4 * 3 + 3),
        (Conv(2, (3, 3, 3)), 27 * 4 * 2 + 2),
    ],
)
def test_parameters_are_a_kernel_and_one_bias_a_filter(module, count):
    x = jnp.ones((2, *(6,) * len(module.kernel_size), 4))
    parameters = module.init(jax.random.key(0), x)["params"]
    assert set(parameters) == ({"kernel", "bias"} if module.use_bias else {"kernel"})
    assert parameters["kernel"].shape[-2:] == (4 // module.groups, module.features)
    assert sum(p.size for p in jax.tree.leaves(parameters)) == count


def test_the_module_is_the_function_with_its_parameters():
    keywords = dict(stride=2, padding=((2, 1), (0, 2)), dilation=(1, 2), groups=2)
    x = jax.random.normal(jax.random.key(0), (2, 8, 9, 4))
    for further in ({}, {"padding_mode": "circular"}, {"convolve": conv_im2col}):
        module = Conv(6, (3, 2), **keywords, **further, bias_init=jax.nn.initializers.normal())
        variables = module.init(jax.random.key(1), x)
        mode = further.get("padding_mode", "zeros")
        expected = conv(x, **variables["params"], **keywords, padding_mode=mode)
        close(module.apply(variables, x), expected)


def test_initial_weights_keep_the_variance_of_rectified_maps():
    kernel = Conv(64, (3, 3), groups=2).init(jax.random.key(0), jnp.ones((1, 4, 4, 64)))["params"]
    np.testing.assert_allclose(kernel["kernel"].var(), 2 / (9 * 32), rtol=0.05)
    assert not kernel["bias"].any()


def test_computation_and_parameters_have_their_own_dtypes():
    x = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
    for dtype, param_dtype, out in (
        (None, jnp.float32, jnp.float32),
        (None, jnp.bfloat16, jnp.bfloat16),
        (jnp.bfloat16, jnp.float32, jnp.bfloat16),
    ):
        module = Conv(3, (3, 3), dtype=dtype, param_dtype=param_dtype)
        y, variables = module.init_with_output(jax.random.key(0), x)
        assert y.dtype == out
        assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype(param_dtype)}


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Conv(6, 3), r"Conv: kernel_size=3 needs a number for each axis, such as \(3, 3\)"),
        (Conv(6, (3, 3), groups=3), r"Conv: groups=3 must divide 4 channels"),
        (Conv(6, (3, 3), groups=0), r"Conv: groups=0 must divide 4 channels"),
        (Conv(6, (9, 9), padding="VALID"), r"window of 9 is larger than the input of 8"),
    ],
)
def test_a_module_that_cannot_be_says_so(module, message):
    with pytest.raises(UserError, match=message):
        module.init(jax.random.key(0), jnp.ones(X))
