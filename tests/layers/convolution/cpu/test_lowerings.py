"""Every lowering against XLA's own convolution in float64, and where each is chosen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from cnnlab.layers.convolution import cpu
from cnnlab.layers.convolution.conv import conv, correlate
from cnnlab.layers.convolution.cpu import (
    conv2d,
    conv3d,
    depthwise,
    gemm,
    grouped,
    im2col_gemm,
    shift_add_gemm,
    toeplitz,
    winograd,
)
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, native
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients

ONE, TWO, THREE = (1,), (1, 1), (1, 1, 1)
NONE = ((0, 0), (0, 0))

# Shape of x and kernel, stride, pads, dilation, groups; the name begins with the lowering's.
CASES = {
    "pointwise": ((2, 5, 6, 3), (1, 1, 3, 4), TWO, NONE, TWO, 1),
    "pointwise, stride and padding": ((2, 5, 6, 3), (1, 1, 3, 4), (2, 3), ((0, 1), (1, 0)), TWO, 1),
    "pointwise, 1-D": ((2, 5, 3), (1, 3, 4), (2,), ((0, 1),), ONE, 1),
    "pointwise, 3-D": ((1, 4, 2, 3, 3), (1, 1, 1, 3, 2), (2, 1, 1), ((0, 0),) * 3, THREE, 1),
    "pointwise, materialized transpose": ((2, 3, 4, 8), (1, 1, 8, 10), TWO, NONE, TWO, 1),
    "single window": ((3, 5, 5, 4), (5, 5, 4, 7), TWO, NONE, TWO, 1),
    "single window, padded": ((3, 4, 3, 2), (5, 5, 2, 7), TWO, ((1, 0), (0, 2)), TWO, 1),
    "single window, one step of a stride": ((3, 6, 6, 2), (5, 5, 2, 3), (2, 2), NONE, TWO, 1),
    "tiles": ((2, 8, 6, 3), (4, 3, 3, 4), (4, 3), NONE, TWO, 1),
    "tiles, rest left out, padded": ((2, 7, 6, 3), (3, 2, 3, 4), (3, 2), ((1, 0), (0, 1)), TWO, 1),
    "tiles, 3-D": ((1, 4, 4, 4, 2), (2, 2, 2, 2, 3), (2, 2, 2), ((0, 0),) * 3, THREE, 1),
    "shifted": ((2, 7, 8, 6), (3, 3, 1, 6), TWO, ((1, 1), (1, 1)), TWO, 6),
    "shifted, all": ((2, 7, 8, 6), (3, 2, 1, 12), (2, 1), ((1, 0), (0, 2)), (1, 2), 6),
    "shifted, 1-D": ((2, 17, 6), (3, 1, 6), ONE, ((1, 1),), ONE, 6),
    "shifted, 3-D": ((1, 4, 5, 6, 3), (2, 3, 2, 1, 6), (1, 2, 1), ((1, 0),) * 3, (1, 1, 2), 3),
    "blocks": ((2, 7, 8, 8), (3, 2, 2, 12), (2, 1), ((1, 0), (0, 2)), (1, 2), 4),
    "blocks, several": ((1, 5, 5, 64), (3, 3, 8, 32), (2, 2), ((1, 1), (1, 1)), TWO, 8),
    "blocks, large": ((1, 4, 4, 68), (3, 3, 34, 6), TWO, ((1, 1), (1, 1)), TWO, 2),
    "blocks, dilated": ((1, 7, 7, 8), (3, 3, 2, 12), TWO, NONE, (2, 2), 4),
    "each group": ((2, 6, 7, 12), (3, 3, 2, 18), TWO, ((1, 1), (1, 1)), TWO, 6),
    "each group, together": ((2, 4, 5, 12), (2, 3, 2, 6), TWO, ((1, 0), (0, 2)), TWO, 6),
    "each group, all at once": ((1, 3, 4, 6), (2, 1, 2, 3), TWO, NONE, TWO, 3),
    "each group, in parts": ((6, 9, 8, 8), (3, 2, 4, 6), TWO, ((3, 0), (0, 2)), TWO, 2),
    "blocks, 1x1": ((1, 4, 4, 64), (1, 1, 8, 32), TWO, NONE, TWO, 8),
    "3-D, channels": (
        (1, 5, 6, 7, 3),
        (3, 2, 3, 3, 4),
        (2, 1, 2),
        ((1, 1),) * 3,
        (2, 1, 1),
        1,
    ),
    "3-D, sum": ((1, 5, 6, 7, 17), (3, 2, 3, 17, 4), (2, 1, 2), ((1, 1),) * 3, THREE, 1),
    "3-D, sum, 1x1": (
        (1, 5, 6, 7, 17),
        (3, 1, 1, 17, 4),
        THREE,
        ((2, 0), *NONE),
        THREE,
        1,
    ),
    "im2col": ((2, 2, 2, 4), (3, 3, 4, 5), TWO, ((1, 1), (1, 1)), TWO, 1),
    "im2col, small output": ((2, 6, 6, 4), (5, 5, 4, 5), (1, 2), ((0, 0), (1, 1)), TWO, 1),
    "im2col, 1-D dilated": ((2, 6, 4), (3, 4, 5), ONE, ((2, 2),), (3,), 1),
    "padded first": ((2, 6, 6, 8), (2, 2, 8, 5), TWO, ((1, 1), (1, 1)), TWO, 1),
    "toeplitz, 4 columns": ((2, 12, 12, 1), (5, 5, 1, 6), TWO, NONE, TWO, 1),
    "toeplitz, 2 columns": ((2, 9, 10, 6), (5, 5, 6, 16), TWO, NONE, TWO, 1),
    "toeplitz, padded": ((2, 7, 8, 3), (3, 5, 3, 4), TWO, ((1, 1), (2, 2)), TWO, 1),
    "toeplitz, in parts": ((6, 9, 10, 6), (5, 5, 6, 4), TWO, NONE, TWO, 1),
    "shift-add": ((3, 5, 6, 8), (3, 3, 8, 9), TWO, ((1, 1), (1, 1)), TWO, 1),
    "shift-add, all": ((6, 8, 7, 9), (3, 3, 9, 8), TWO, ((1, 0), (2, 1)), (1, 2), 1),
    "winograd": ((1, 6, 8, 32), (3, 3, 32, 33), TWO, ((1, 1), (1, 1)), TWO, 1),
    "winograd, odd, in parts": ((4, 7, 5, 33), (3, 3, 33, 32), TWO, ((0, 2), (1, 0)), TWO, 1),
    "conv2d": ((2, 5, 6, 8), (3, 3, 8, 5), TWO, ((1, 1), (1, 1)), TWO, 1),
    "conv2d, no padding": ((6, 6, 6, 8), (3, 3, 8, 5), TWO, NONE, TWO, 1),
    "conv2d, strided, in parts": ((6, 8, 7, 8), (3, 3, 8, 5), (2, 2), ((1, 1), (1, 0)), TWO, 1),
    "conv2d, in strips": ((2, 16, 7, 16), (3, 2, 16, 5), TWO, ((1, 1), (0, 1)), TWO, 1),
    "conv2d, all, in strips": ((2, 16, 9, 16), (3, 3, 16, 3), (2, 1), ((1, 0), (2, 1)), (1, 2), 1),
}
each_case = pytest.mark.parametrize("name", CASES)
# The first case of each lowering is tested wholly, the others where tests may take long.
first_cases = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * ("," in n)) for n in CASES]
)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Cut up also what is as small as here."""
    monkeypatch.setattr(gemm, "NARROW", 8)
    monkeypatch.setattr(gemm, "WIDE", 10)
    monkeypatch.setattr(toeplitz, "LARGE", 9000)
    monkeypatch.setattr(toeplitz, "MOST", 9000)
    monkeypatch.setattr(grouped, "MOST", 2000)
    monkeypatch.setattr(conv2d, "MOST", 4000)
    monkeypatch.setattr(conv2d, "LEAST", 0)
    monkeypatch.setattr(winograd, "MOST", 9000)
    monkeypatch.setattr(winograd, "TILES", 0)
    monkeypatch.setattr(depthwise, "CHANNELS", 4)
    monkeypatch.setattr(depthwise, "LINE", 16)


def arrays(shape, kernel, dtype=np.float64):
    rng = np.random.default_rng(0)
    return (jnp.asarray(rng.normal(size=s), dtype) for s in (shape, kernel))


def xla(case):
    spec = ConvSpec(*case)
    return lambda x, kernel: native(spec, x, kernel)


def close(ours, expected, tolerance=1e-10):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def derivatives(f, x, kernel):
    """Values, gradients, and gradients of gradients."""

    def energy(x, kernel):
        y = f(x, kernel)
        return jnp.sum(jnp.tanh(y)), y

    def slope(x, kernel):
        (dx, dkernel), y = jax.grad(energy, (0, 1), has_aux=True)(x, kernel)
        return jnp.sum(jnp.sin(dx)) + jnp.sum(jnp.sin(dkernel)), (dx, dkernel, y)

    return jax.jit(jax.grad(slope, (0, 1), has_aux=True))(x, kernel)


@first_cases
def test_values_gradients_and_their_gradients_are_those_of_xla(name):
    with jax.enable_x64(True):
        case = CASES[name]
        lowering = cpu.select_in_float32(ConvSpec(*case))
        assert lowering is not None
        x, kernel = arrays(*case[:2])
        close(derivatives(lowering, x, kernel), derivatives(xla(case), x, kernel))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "shifted, all",
            "blocks",
            "each group, in parts",
            "3-D, channels",
            "toeplitz, in parts",
        ),
        *("conv2d, all, in strips", "shift-add, all", "winograd, odd, in parts"),
    ],
)
@pytest.mark.sample(3)
def test_forward_mode_over_reverse_mode_is_that_of_xla(name):
    with jax.enable_x64(True):
        case = CASES[name]
        x, kernel = arrays(*case[:2])

        def curvature(f):
            slope = jax.grad(lambda x, k: jnp.sum(jnp.tanh(f(x, k))), (0, 1))
            return jax.jit(lambda *a: jax.jvp(slope, a, tuple(map(jnp.cos, a))))(x, kernel)

        close(curvature(cpu.select_in_float32(ConvSpec(*case))), curvature(xla(case)))


@pytest.mark.parametrize("seed", range(8))
def test_whatever_lowering_is_selected_equals_xla(seed):
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        axes = int(rng.integers(1, 4))
        window, stride, apart = (rng.integers(1, 4, axes) for _ in range(3))
        groups = int(rng.choice([1, 2, 4]))
        c_in, c_out = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
        pads = tuple(tuple(map(int, pair)) for pair in rng.integers(0, 3, (axes, 2)))
        spans = apart * (window - 1) + 1
        size = [
            max(1, int(k) - sum(p) + int(rng.integers(0, 5)))
            for k, p in zip(spans, pads, strict=True)
        ]
        numbers = tuple(map(int, stride)), pads, tuple(map(int, apart)), groups
        shapes = (2, *size, c_in), (*map(int, window), c_in // groups, c_out)
        x, kernel = arrays(*shapes)

        def both(f):
            return jax.jit(lambda x, k: (f(x, k), jax.vjp(f, x, k)[1](jnp.cos(f(x, k)))))(x, kernel)

        ours = both(lambda x, kernel: correlate(x, kernel, *numbers))
        close(ours, both(xla((*shapes, *numbers))))


# The function that computes the cases whose name begins so.
FAMILIES = {
    "pointwise": (gemm, "pointwise"),
    "single window": (gemm, "single_window"),
    "tiles": (gemm, "tiled_windows"),
    "shifted": (depthwise, "shifted_products"),
    "blocks": (grouped, "block_diagonal"),
    "each group": (grouped, "columns_then_rows"),
    "3-D, sum": (conv3d, "sum_over_time"),
    "3-D, channels": (conv3d, "time_as_channels"),
    "im2col": (im2col_gemm, "im2col"),
    "padded first": (im2col_gemm, "pad_then_convolve"),
    "toeplitz, 2 columns": (toeplitz, "by_columns"),
    "toeplitz, in parts": (toeplitz, "by_columns"),
    "toeplitz": (toeplitz, "by_rows"),
    "shift-add": (shift_add_gemm, "shift_add"),
    "winograd": (winograd, "_convolve"),
    "conv2d": (conv2d, "native"),
}


@each_case
def test_each_case_is_computed_by_the_lowering_that_it_is_for(name, monkeypatch):
    module, function = next(FAMILIES[f] for f in FAMILIES if name.startswith(f))
    calls, original = [], getattr(module, function)

    def counted(*args):
        calls.append(function)
        return original(*args)

    monkeypatch.setattr(module, function, counted)
    case = CASES[name]
    jax.eval_shape(cpu.select_in_float32(ConvSpec(*case)), *arrays(*case[:2], np.float32))
    assert calls


@pytest.mark.parametrize(
    "case",
    [
        ((2, 30, 8), (3, 8, 8), ONE, ((1, 1),), ONE, 1),
        ((0, 9, 9, 4), (3, 3, 1, 4), TWO, NONE, TWO, 4),
        ((2, 9, 9, 4), (3, 3, 4, 0), TWO, NONE, TWO, 1),
        ((2, 2, 9, 4), (3, 3, 4, 4), TWO, NONE, TWO, 1),
    ],
    ids=["1-D", "no examples", "no filters", "no windows"],
)
def test_where_xla_is_as_fast_or_nothing_is_computed_it_stays(case):
    assert cpu.select_in_float32(ConvSpec(*case)) is None


@pytest.mark.parametrize(
    "case",
    [
        ((2, 9, 9, 16), (3, 3, 16, 24), TWO, ((1, 1), (1, 1)), TWO, 1),
        ((2, 9, 9, 16), (3, 3, 16, 24), (2, 2), ((1, 1), (1, 1)), TWO, 1),
        ((2, 9, 9, 16), (3, 3, 16, 24), TWO, ((2, 2), (2, 2)), (2, 2), 1),
        ((2, 12, 12, 3), (3, 3, 3, 64), TWO, ((1, 1), (1, 1)), TWO, 1),
        ((2, 12, 12, 3), (3, 3, 3, 8), (2, 2), ((1, 1), (1, 1)), TWO, 1),
        ((2, 11, 11, 3), (3, 3, 3, 8), TWO, ((1, 1), (1, 1)), TWO, 1),
    ],
    ids=["conv2d", "strided", "dilated", "many filters", "few channels, strided", "odd width"],
)
def test_where_xla_is_as_fast_values_and_the_gradient_of_x_are_its_own(case):
    x, kernel = arrays(*case[:2], np.float32)
    lowering = cpu.select_in_float32(ConvSpec(*case))

    def lowered(f):
        both = jax.jit(lambda x, dx, k: jax.jvp(lambda x: f(x, k), (x,), (dx,)))
        text = both.lower(x, x, kernel).as_text()
        kinds = ("convolution", "dot_general", "slice", "concatenate")
        return [text.count(f"stablehlo.{kind}") for kind in kinds]

    assert lowered(lowering) == lowered(xla(case)) == [2, 0, 0, 0]


@pytest.mark.parametrize("groups", [1, 4])
def test_an_empty_batch_has_an_empty_result_and_gradients_of_zero(groups):
    x, kernel = jnp.zeros((0, 5, 5, 4)), jnp.ones((3, 3, 4 // groups, 8))
    y, pullback = jax.vjp(lambda x, k: conv(x, k, groups=groups), x, kernel)
    dx, dkernel = pullback(y)
    assert y.shape == (0, 5, 5, 8) and dx.shape == x.shape
    np.testing.assert_array_equal(dkernel, np.zeros_like(kernel))


@pytest.mark.parametrize(
    "name",
    ["shifted, all", "blocks", "each group", "3-D, sum", "im2col", "tiles", "conv2d"],
)
def test_lowerings_are_for_cpu_alone_with_their_gradients(name):
    case = CASES[name]
    x, kernel = arrays(*case[:2], np.float32)

    def gradients(convolve):
        return jax.jit(jax.grad(lambda x, k: jnp.sum(convolve(x, k) ** 2), (0, 1)))

    def lowered(f, platform):
        return f.trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()

    ours = gradients(lambda x, kernel: correlate(x, kernel, *case[2:]))
    plain = gradients(xla(case))
    for platform in ("cuda", "tpu"):
        for operation in ("stablehlo.convolution", "stablehlo.dot_general", "stablehlo.while"):
            counts = [lowered(f, platform).count(operation) for f in (ours, plain)]
            assert counts[0] == counts[1], (platform, operation)
    assert lowered(ours, "cpu") != lowered(plain, "cpu")


@pytest.mark.parametrize(
    "name",
    ["pointwise", "shifted, all", "blocks", "each group", "3-D, sum", "im2col", "conv2d"],
)
def test_vmap_over_either_argument_equals_one_call_each(name):
    case = CASES[name]
    x, kernel = arrays(*case[:2], np.float32)
    f = jax.jit(cpu.select_in_float32(ConvSpec(*case)))
    xs, kernels = jnp.stack([x, 2 * x]), jnp.stack([kernel, kernel - 1])
    close(jax.vmap(f, (0, None))(xs, kernel), jnp.stack([f(a, kernel) for a in xs]), 1e-4)
    close(jax.vmap(f, (None, 0))(x, kernels), jnp.stack([f(x, k) for k in kernels]), 1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "tiles",
        "shifted",
        "blocks, several",
        "each group",
        "3-D, sum",
        "im2col",
        "toeplitz, in parts",
        "conv2d, in strips",
        "winograd",
    ],
)
def test_bfloat16_is_summed_in_float32_and_rounded_once(name):
    case = CASES[name]
    x, kernel = arrays(*case[:2], jnp.bfloat16)

    def both(f, x, kernel):
        y, pullback = jax.vjp(f, x, kernel)
        return y, pullback(jnp.ones_like(y))

    run = jax.jit(both, static_argnums=0)
    rounded = jax.tree.leaves(run(cpu.select_in_float32(ConvSpec(*case)), x, kernel))
    exact = jax.tree.leaves(run(xla(case), *(a.astype(jnp.float32) for a in (x, kernel))))
    for one, other in zip(rounded, exact, strict=True):
        assert one.dtype == jnp.bfloat16
        np.testing.assert_allclose(one.astype(jnp.float32), other, rtol=2**-8, atol=2e-2)


def test_a_depthwise_line_is_cut_into_equal_parts_that_fit_or_left_whole(monkeypatch):
    assert [depthwise._length(n, 1) for n in (4, 16, 24, 17)] == [4, 8, 12, 17]
    monkeypatch.setattr(depthwise, "ROWS", 8)
    assert [depthwise._length(n, 1) for n in (4, 16, 24, 17)] == [4, 4, 6, 1]


@pytest.mark.parametrize(
    ("batch", "height", "expected"),
    [(3, 12, (1, 12, 8, 4)), (3, 28, (1, 9, 8, 4)), (3, 4, (3, 4, 8, 4)), (4, 13, (1, 13, 8, 4))],
)
def test_windows_are_made_of_as_many_images_or_lines_as_fit(batch, height, expected, monkeypatch):
    """A line has 8 windows of 9 x 4 numbers, so 4000 are 13 lines; strips overlap by 2."""
    seen = []

    def product(spec, x, kernel):
        seen.append(x.shape)
        return jnp.zeros((x.shape[0], *spec.out, 5))

    monkeypatch.setattr(shift_add_gemm, "shift_add_filters_first", product)
    spec = ConvSpec((batch, height, 8, 4), (3, 3, 4, 5), TWO, ((1, 1), (1, 1)), TWO, 1)
    case = arrays(spec.shape, spec.kernel, np.float32)
    y = jax.eval_shape(lambda x, k: conv2d.im2col_in_chunks(spec, x, k), *case)
    assert seen[0] == expected and y.shape == (batch, height, 8, 5)


def test_a_transpose_is_materialized_for_the_gradient_of_a_large_kernel_alone():
    x, kernel = jnp.ones((5, 8)), jnp.ones((8, 10))

    def lowered(argument):
        def energy(x, kernel):
            return jnp.sum(jnp.tanh(gemm.matmul(jax.nn.relu(x), kernel)))

        return jax.jit(jax.grad(energy, argument)).lower(x, kernel).as_text()

    assert 'inlineable = "false"' in lowered(1)
    assert "inlineable" not in lowered(0)
    kernel = jnp.ones((8, 9))  # too small to gain
    assert "inlineable" not in lowered(1)


def test_a_large_kernel_is_not_added_up_over_more_parts_than_its_own_size_asks_for(monkeypatch):
    monkeypatch.setattr(conv2d, "MOST", 100)
    sizes = []
    product = conv2d.im2col
    monkeypatch.setattr(conv2d, "im2col", lambda s, x, k: sizes.append(x.shape) or product(s, x, k))
    # Windows of an image have 16 x 27 numbers, the kernel has 27 x 40.
    spec = ConvSpec((8, 4, 4, 3), (3, 3, 3, 40), TWO, ((1, 1), (1, 1)), TWO, 1)
    given = (jax.ShapeDtypeStruct(shape, np.float32) for shape in spec[:2])
    jax.eval_shape(lambda x, k: conv2d.im2col_in_chunks(spec, x, k), *given)
    assert sizes[0] == (2, 4, 4, 3)


def test_small_dense_convolutions_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(conv2d, "LEAST", 2 * 64 * 36 + 1)
    assert (
        conv2d.select(ConvSpec((2, 8, 8, 4), (3, 3, 4, 5), TWO, ((1, 1), (1, 1)), TWO, 1)) is None
    )
    assert conv2d.select(ConvSpec((3, 8, 8, 4), (3, 3, 4, 5), TWO, ((1, 1), (1, 1)), TWO, 1))


def test_winograd_is_for_enough_tiles_and_channels(monkeypatch):
    monkeypatch.setattr(winograd, "TILES", 8)

    def fits(size, channels, stride=TWO):
        shapes = (4, size, size, channels), (3, 3, channels, channels)
        return winograd.fits(ConvSpec(*shapes, stride, ((1, 1), (1, 1)), TWO, 1))

    # 4 images of 15x15 have 4 x 8 x 8 = 256 tiles, 8 for each of 32 channels.
    assert fits(15, 32) and not fits(14, 32) and not fits(15, 33) and not fits(15, 31)
    assert not fits(30, 32, (2, 2))


def test_whole_numbers_are_not_halved_by_winograd():
    case = CASES["winograd"]
    x, kernel = (jnp.asarray(a * 10, jnp.int32) for a in arrays(*case[:2], np.float32))
    lowering = winograd.winograd(ConvSpec(*case))
    assert (lowering(x, kernel) == xla(case)(x, kernel)).all()
    assert (winograd.winograd_transposed(ConvSpec(*case))(x, kernel) == xla(case)(x, kernel)).all()


def test_groups_of_a_block_divide_their_number():
    def together(c_in, groups):
        kernel = (3, 3, c_in // groups, c_in)
        return grouped.groups_per_block(ConvSpec((1, 9, 9, c_in), kernel, TWO, NONE, TWO, groups))

    assert [together(*n) for n in ((128, 32), (256, 32), (512, 32), (96, 2), (24, 6))] == [
        *(8, 4, 2, 1, 6)
    ]


def test_a_product_is_differentiated_through_the_lowerings_given_for_it():
    seen = []

    def named(name):
        def lowering(x, kernel):
            seen.append(name)
            return x * kernel

        return lowering

    product = with_gradients(named("value"), input=named("x"), kernel=named("kernel"))
    assert product(2.0, 3.0) == 6 and seen == ["value"]
    assert jax.grad(product)(2.0, 3.0) == 3 and "kernel" not in seen
    seen.clear()
    assert jax.grad(product, 1)(2.0, 3.0) == 2 and "x" not in seen
    assert jax.grad(jax.grad(product), 1)(2.0, 3.0) == 1
    assert jax.jvp(product, (2.0, 3.0), (1.0, 1.0)) == (6.0, 5.0)


def test_lowerings_stay_in_programs_over_several_devices():
    x, kernel = arrays((8, 6, 6, 4), (3, 3, 1, 4), np.float32)

    def loss(kernel, x):
        return jnp.sum(conv(x, kernel, groups=4) ** 2)

    whole = jax.grad(loss)(kernel, x)
    mapped = jax.pmap(lambda x: lax.psum(jax.grad(loss)(kernel, x), "batch"), axis_name="batch")(
        x[:, None]
    )
    close(mapped[0], whole, 1e-4)


def test_a_materialized_transpose_stays_on_its_devices():
    x, kernel = arrays((8, 2, 3, 8), (1, 1, 8, 10), np.float32)
    slope = jax.grad(lambda kernel, x: jnp.sum(conv(jax.nn.relu(x), kernel) ** 2))
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    parted = jax.device_put(x, jax.NamedSharding(mesh, jax.P("batch")))
    program = jax.jit(slope).lower(kernel, parted).compile()
    close(program(kernel, parted), slope(kernel, x), 1e-4)
    # The gradients are added up, and no device is sent the images of another.
    assert "all-reduce" in program.as_text() and "all-gather" not in program.as_text()
