"""Transposed convolution: the lecture's numbers, the adjoint identity, and flax's convention."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.transposed import ConvTranspose, conv_transpose, swap_convention

X = jnp.array([[1.0, 2], [3, 4]])[..., None]
W = jnp.array([[1.0, 2], [3, 4]])[..., None, None]


def normal(seed, *shape, dtype=None):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def test_the_lectures_example_with_stride_1():
    y = conv_transpose(X, W, padding=0)[..., 0]
    np.testing.assert_array_equal(y, [[1, 4, 4], [6, 20, 16], [9, 24, 16]])


def test_the_lectures_example_with_stride_2_lays_kernels_side_by_side():
    y = conv_transpose(X, W, stride=2, padding=0)[..., 0]
    np.testing.assert_array_equal(y, [[1, 2, 2, 4], [3, 4, 6, 8], [3, 6, 4, 8], [9, 12, 12, 16]])


def test_a_kernel_of_3_with_stride_2_makes_a_checkerboard_of_4_2_1():
    y = conv_transpose(jnp.ones((3, 3, 1)), jnp.ones((3, 3, 1, 1)), stride=2, padding=1)[..., 0]
    np.testing.assert_array_equal(y[::2, ::2], np.ones((3, 3)))
    np.testing.assert_array_equal(y[1::2, ::2], np.full((2, 3), 2))
    np.testing.assert_array_equal(y[1::2, 1::2], np.full((2, 2), 4))


@st.composite
def cases(draw):
    axes = draw(st.sampled_from([1, 1, 2, 2, 3]))
    top = {1: 6, 2: 4, 3: 2}[axes]
    number = lambda low, high: st.tuples(*(st.integers(low, high) for _ in range(axes)))  # noqa: E731
    case = dict(
        size=draw(number(1, top)),
        window=draw(number(1, 4 if axes < 3 else 2)),
        stride=draw(number(1, 3)),
        dilation=draw(number(1, 2)),
        output_padding=draw(number(0, 2)),
    )
    assume(all(a < s for a, s in zip(case["output_padding"], case["stride"], strict=True)))
    case["padding"] = draw(st.one_of(st.just("SAME"), st.just("CAUSAL"), number(0, 2)))
    if case["padding"] == "SAME":
        case["output_padding"] = 0
    case["groups"], case["of"] = draw(st.integers(1, 2)), draw(st.tuples(*[st.integers(1, 2)] * 2))
    return case


@settings(max_examples=25, deadline=None, derandomize=True)
@given(cases())
@pytest.mark.sample(6)
def test_it_is_the_adjoint_of_the_convolution_with_the_same_arguments(case):
    with jax.enable_x64(True):
        groups, (a, b) = case["groups"], case["of"]
        x = normal(0, 2, *case["size"], groups * b)
        kernel = normal(1, *case["window"], a, groups * b)
        same = {k: case[k] for k in ("stride", "padding", "dilation", "groups")}
        run = jax.jit(partial(conv_transpose, output_padding=case["output_padding"], **same))
        try:
            there = run(x, kernel)
        except UserError as error:
            assume("nothing is left" not in str(error))
            raise
        u = normal(2, *there.shape)
        back = jax.jit(partial(conv, **same))(u, kernel)
        np.testing.assert_allclose(np.vdot(back, x), np.vdot(u, there), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 2), (0, 3))])
@pytest.mark.parametrize(("k", "s", "d"), [(3, 2, 1), (2, 3, 1), (4, 1, 2)])
def test_flax_convention_equals_lax_with_strings_and_numbers(padding, k, s, d):
    x, kernel = normal(0, 2, 5, 4, 3, dtype="float32"), normal(1, k, k, 3, 2, dtype="float32")
    run = partial(conv_transpose, stride=s, padding=padding, dilation=d, convention="flax")
    ours = jax.jit(run)(x, kernel)
    theirs = lax.conv_transpose(x, kernel, (s, s), padding, rhs_dilation=(d, d))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("convention", "transpose"), [("flax", False), ("adjoint", True)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_the_module_takes_the_parameters_of_flax(convention, transpose, padding):
    x = normal(0, 2, 4, 5, 3, dtype="float32")
    args = dict(features=2, kernel_size=(3, 4), padding=padding)
    flax_module = nn.ConvTranspose(strides=(2, 3), transpose_kernel=transpose, **args)
    ours = ConvTranspose(stride=(2, 3), convention=convention, **args)
    variables = jax.jit(flax_module.init)(jax.random.key(0), x)
    shapes = jax.eval_shape(ours.init, jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)
    y, expected = (jax.jit(module.apply)(variables, x) for module in (ours, flax_module))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_swapping_the_convention_changes_the_kernel_and_not_the_result(groups):
    x, kernel = normal(0, 2, 5, 6), normal(1, 3, 12 // groups, 6)
    flax_kernel = swap_convention(kernel, groups)
    assert flax_kernel.shape == (3, 6 // groups, 12)
    run = partial(conv_transpose, stride=2, groups=groups)
    np.testing.assert_allclose(
        jax.jit(partial(run, convention="flax"))(x, flax_kernel),
        jax.jit(run)(x, kernel),
        rtol=1e-5,
        atol=1e-6,
    )
    np.testing.assert_array_equal(swap_convention(flax_kernel, groups), kernel)


def test_groups_do_not_see_each_other():
    x, kernel, bias = normal(0, 2, 5, 5, 4), normal(1, 3, 3, 3, 4), normal(2, 6)
    run = partial(conv_transpose, stride=2, padding=1, output_padding=1)
    parts = [
        run(x[..., 2 * g : 2 * g + 2], kernel[..., 2 * g : 2 * g + 2], bias[3 * g : 3 * g + 3])
        for g in range(2)
    ]
    np.testing.assert_allclose(
        run(x, kernel, bias, groups=2), jnp.concatenate(parts, -1), rtol=1e-5, atol=1e-5
    )


def test_gradients_equal_finite_differences():
    with jax.enable_x64(True):
        arrays = normal(0, 2, 3, 3, 2), normal(1, 3, 2, 3, 2), normal(2, 3)
        run = partial(conv_transpose, stride=(2, 3), padding=1, output_padding=(1, 2))
        check_grads(jax.jit(run), arrays, order=1)


def test_leading_axes_and_vmap_are_batch_axes_and_an_empty_batch_stays_empty():
    x, kernel = normal(0, 2, 3, 5, 2), normal(1, 4, 3, 2)
    run = partial(conv_transpose, kernel=kernel, stride=2)
    mapped = jax.jit(jax.vmap(jax.vmap(run)))(x)
    np.testing.assert_allclose(jax.jit(run)(x), mapped, rtol=1e-5, atol=1e-5)
    assert run(x[:, :0]).shape == (2, 0, 10, 3)


@pytest.mark.parametrize("convention", ["adjoint", "flax"])
@pytest.mark.parametrize("groups", [1, 4])
def test_initial_weights_have_the_variance_of_he_for_each_groups_inputs(convention, groups):
    x = jnp.zeros((1, 2, 2, 64))
    module = ConvTranspose(64, (3, 3), groups=groups, convention=convention)
    kernel = jax.jit(module.init)(jax.random.key(0), x)["params"]["kernel"]
    np.testing.assert_allclose(jnp.std(kernel), (2 / (9 * 64 / groups)) ** 0.5, rtol=0.03)


def test_without_a_bias_there_is_none_and_bfloat16_is_kept():
    x = normal(0, 1, 2, 2, 3, dtype="bfloat16")
    y, variables = ConvTranspose(2, (2, 2), use_bias=False, dtype=jnp.bfloat16).init_with_output(
        jax.random.key(0), x
    )
    assert list(variables["params"]) == ["kernel"]
    assert y.dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("shape", "kernel", "kwargs", "message"),
    [
        ((4, 4, 2), (3, 3, 3, 2), dict(convention="torch"), "convention='torch'"),
        ((4, 4, 2), (2, 2), {}, "1 to 3 axes"),
        ((4, 2), (3, 3, 3, 2), {}, r"x \(4, 2\) needs 2 spatial axes"),
        ((4, 4, 3), (3, 3, 3, 3), dict(groups=2), "groups=2 must divide the 3 channels"),
        ((4, 4, 2), (3, 3, 2, 3), {}, r"has \[\*window, c_out / groups, c_in\]"),
        ((4, 4, 2), (3, 3, 3, 2), dict(convention="flax"), r"has \[\*window, c_in / groups, c_out"),
    ],
)
def test_arrays_that_do_not_fit_are_named(shape, kernel, kwargs, message):
    with pytest.raises(UserError, match=message):
        conv_transpose(jnp.zeros(shape), jnp.zeros(kernel), **kwargs)


def test_a_bias_or_dtype_that_does_not_fit_is_named():
    x, kernel = jnp.zeros((4, 2)), jnp.zeros((3, 3, 2))
    with pytest.raises(UserError, match=r"bias \(2,\) for 3 feature maps"):
        conv_transpose(x, kernel, jnp.zeros(2))
    with pytest.raises(UserError, match="'bfloat16', 'float32'"):
        conv_transpose(x, kernel.astype(jnp.bfloat16))
    with pytest.raises(UserError, match="must divide 2 channels and 3 features"):
        ConvTranspose(3, (3,), groups=2).init(jax.random.key(0), x)
