"""Lowerings of transposed convolutions against the adjoint of XLA's own convolution in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.convolution.cpu import transposed
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, native
from cnnlab.layers.convolution.transposed import conv_transpose

ONE, TWO, THREE, NO = (1,), (1, 1), (1, 1, 1), (0, 0)
NONE = ((0, 0), (0, 0))
DILATED = "lhs_dilated"

# Shape of x and kernel, stride, pads, output padding, dilation, groups, and what computes it.
CASES = {
    "4x4/2": ((2, 3, 4, 4), (4, 4, 5, 4), (2, 2), ((1, 1),) * 2, NO, TWO, 1, DILATED),
    "3x3/2": ((2, 3, 4, 4), (3, 3, 5, 4), (2, 2), ((1, 1),) * 2, TWO, TWO, 1, DILATED),
    "window below stride": (
        (2, 3, 4, 4),
        (2, 2, 5, 4),
        (3, 3),
        NONE,
        (2, 1),
        TWO,
        1,
        "lhs_dilated",
    ),
    "dilated": (
        (2, 3, 4, 4),
        (3, 2, 5, 4),
        (2, 3),
        ((1, 1),) * 2,
        (1, 0),
        (2, 1),
        1,
        "lhs_dilated",
    ),
    "stride 1": ((2, 5, 4, 4), (3, 2, 5, 4), TWO, ((1, 0), (0, 1)), NO, TWO, 1, DILATED),
    "more than cropped": (
        (2, 3, 3, 4),
        (3, 3, 5, 4),
        (2, 2),
        ((-1, 0),) * 2,
        NO,
        TWO,
        1,
        "lhs_dilated",
    ),
    "1-D": ((2, 9, 4), (4, 5, 4), (2,), ((1, 1),), (0,), ONE, 1, DILATED),
    "2x2/2": ((2, 3, 4, 4), (2, 2, 5, 4), (2, 2), NONE, NO, TWO, 1, "subpixel"),
    "2x2/2, cropped": ((2, 3, 4, 4), (2, 2, 5, 4), (2, 2), ((1, 1),) * 2, TWO, TWO, 1, "subpixel"),
    "6x6/3": ((2, 3, 4, 4), (6, 6, 5, 4), (3, 3), ((2, 1),) * 2, (1, 0), TWO, 1, "subpixel"),
    "groups": ((2, 3, 4, 4), (3, 4, 5, 4), (2, 2), ((1, 1),) * 2, TWO, TWO, 2, "subpixel"),
    "depthwise": ((2, 3, 4, 4), (4, 4, 3, 4), (2, 2), ((1, 1),) * 2, NO, TWO, 4, "subpixel"),
    "3-D": (
        *((1, 2, 3, 4, 4), (3, 4, 2, 5, 4), (2, 2, 1), ((1, 1), (1, 1), (0, 0)), (1, 0, 0)),
        *((1, 1, 2), 1, "frame_by_frame"),
    ),
    "3-D, tiles": (
        *((1, 2, 3, 4, 4), (2, 2, 2, 5, 4), (2, 2, 2), ((0, 0),) * 3, (0,) * 3, THREE, 1),
        "subpixel",
    ),
}
each_case = pytest.mark.parametrize("name", CASES)


def arrays(shape, kernel, dtype=np.float64):
    rng = np.random.default_rng(0)
    return (jnp.asarray(rng.normal(size=s), dtype) for s in (shape, kernel))


def selected(shape, kernel, stride, pads, extra, dilation, groups):
    """The lowering selected for an output padding of `extra`."""
    ends = tuple((low, high - a) for (low, high), a in zip(pads, extra, strict=True))
    spec = ConvSpec(shape, kernel, stride, ends, dilation, groups)
    return transposed.select_in_float32(spec)


def adjoint(shape, kernel, stride, pads, extra, dilation, groups):
    """The transpose of the convolution that makes x out of y, as JAX finds it."""
    size = [
        s * (i - 1) + a + d * (k - 1) + 1 - low - high
        for s, i, a, d, k, (low, high) in zip(
            stride, shape[1:-1], extra, dilation, kernel[:-2], pads, strict=True
        )
    ]
    out = (shape[0], *size, kernel[-2] * groups)
    spec = ConvSpec(out, kernel, stride, pads, dilation, groups)

    def transpose(x, kernel):
        like = jax.ShapeDtypeStruct(out, x.dtype)
        return jax.linear_transpose(lambda y: native(spec, y, kernel), like)(x)[0]

    return transpose


def derivatives(f, x, kernel):
    def energy(x, kernel):
        y = f(x, kernel)
        return jnp.sum(jnp.tanh(y)), y

    def slope(x, kernel):
        (dx, dkernel), y = jax.grad(energy, (0, 1), has_aux=True)(x, kernel)
        return jnp.sum(jnp.sin(dx)) + jnp.sum(jnp.sin(dkernel)), (dx, dkernel, y)

    return jax.jit(jax.grad(slope, (0, 1), has_aux=True))(x, kernel)


def close(ours, expected):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@each_case
@pytest.mark.sample(5)
def test_values_gradients_and_their_gradients_are_those_of_the_adjoint(name):
    with jax.enable_x64(True):
        *case, _ = CASES[name]
        x, kernel = arrays(*case[:2])
        lowering = selected(*case)
        close(derivatives(lowering, x, kernel), derivatives(adjoint(*case), x, kernel))


@pytest.mark.parametrize("name", ["4x4/2", "6x6/3", "depthwise", "3-D"])
def test_forward_mode_over_reverse_mode_is_that_of_the_adjoint(name):
    with jax.enable_x64(True):
        *case, _ = CASES[name]
        x, kernel = arrays(*case[:2])

        def curvature(f):
            slope = jax.grad(lambda x, k: jnp.sum(jnp.tanh(f(x, k))), (0, 1))
            return jax.jit(lambda *a: jax.jvp(slope, a, tuple(map(jnp.cos, a))))(x, kernel)

        close(curvature(selected(*case)), curvature(adjoint(*case)))


@each_case
def test_each_case_is_computed_by_the_lowering_that_it_is_for(name, monkeypatch):
    *case, expected = CASES[name]
    calls = []
    for function in (DILATED, "subpixel", "frame_by_frame"):
        original = getattr(transposed, function)

        def counted(*args, function=function, original=original):
            calls.append(function)
            return original(*args)

        monkeypatch.setattr(transposed, function, counted)
    jax.eval_shape(selected(*case), *arrays(*case[:2], np.float32))
    assert calls[0] == expected


@pytest.mark.parametrize(
    "case",
    [
        ((0, 3, 4, 4), (4, 4, 5, 4), (2, 2), NONE, NO, TWO, 1),
        ((2, 3, 4, 4), (3, 3, 5, 4), (2, 2), NONE, NO, (2, 2), 2),
    ],
    ids=["no examples", "dilated groups"],
)
def test_where_there_is_no_lowering_xla_stays(case):
    assert selected(*case) is None


def test_the_gradient_of_the_kernel_is_no_convolution_over_spread_out_values_on_cpu():
    x, kernel = arrays((2, 6, 6, 8), (4, 4, 5, 8), np.float32)

    def gradient(platform):
        f = jax.jit(jax.grad(lambda k: jnp.sum(conv_transpose(x, k, stride=2) ** 2)))
        return f.trace(kernel).lower(lowering_platforms=(platform,)).as_text()

    # One of them is the forward pass; with XLA's own the gradient is another.
    assert [gradient(p).count("lhs_dilate = [2, 2]") for p in ("cpu", "cuda")] == [1, 2]
