"""Convolution in all its settings agrees with PyTorch: values, gradients, written backward pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.conv_backward import conv_backward
from cnnlab.layers.convolution.im2col import conv_im2col, conv_im2col_backward

pytestmark = pytest.mark.parity

MODES = {"zeros": "constant", "circular": "circular", "reflect": "reflect"}


@st.composite
def problems(draw):
    """Return shapes of x and kernel, the arguments of `conv`, and whether there is a bias."""
    axes = draw(st.sampled_from([1, 2, 2, 3]))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    window, stride, dilation = each(1, 4 if axes < 3 else 3), each(1, 3), each(1, 3)
    mode = draw(st.sampled_from(list(MODES)))
    pads = tuple(zip(each(0, 3), each(0, 3), strict=True))
    if draw(st.booleans()):
        pads = tuple(low for low, _ in pads)
    size = []
    for k, d, p in zip(window, dilation, pads, strict=True):
        low, high = (p, p) if isinstance(p, int) else p
        fits = d * (k - 1) + 1 - low - high
        most = {"zeros": 0, "circular": 0, "reflect": 1}[mode]
        enough = max(low, high) + most if mode != "zeros" else 1
        size.append(max(fits, enough, 1) + draw(st.integers(0, 4)))
    groups, of_group, filters = (draw(st.integers(1, n)) for n in (3, 2, 3))
    x = (draw(st.integers(1, 2)), *size, groups * of_group)
    kernel = (*window, of_group, groups * filters)
    arguments = dict(
        stride=stride, padding=pads, padding_mode=mode, dilation=dilation, groups=groups
    )
    return x, kernel, arguments, draw(st.booleans())


def torchs(x, kernel, bias, dy, arguments):
    """Return output and gradients of x, kernel and bias from PyTorch, channels last."""
    import torch
    from torch.nn import functional as F

    axes = kernel.ndim - 2
    leaves = [torch.tensor(np.moveaxis(x, -1, 1))]
    leaves += [torch.tensor(np.moveaxis(kernel, (-1, -2), (0, 1)))]
    leaves += [] if bias is None else [torch.tensor(bias)]
    for leaf in leaves:
        leaf.requires_grad_()
    pads, mode = arguments["padding"], MODES[arguments["padding_mode"]]
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[axes]
    keywords = {name: arguments[name] for name in ("stride", "dilation", "groups")}
    if mode == "constant" and isinstance(pads[0], int):
        y = convolve(*leaves, **keywords, padding=pads)
    else:
        pairs = [(p, p) if isinstance(p, int) else p for p in pads]
        flat = [amount for pair in reversed(pairs) for amount in pair]
        y = convolve(F.pad(leaves[0], flat, mode), *leaves[1:], **keywords)
    y.backward(torch.tensor(np.moveaxis(dy(np.moveaxis(y.detach().numpy(), 1, -1)), -1, 1)))
    dx, dkernel, *dbias = (leaf.grad.numpy() for leaf in leaves)
    y, dx = (np.moveaxis(a, 1, -1) for a in (y.detach().numpy(), dx))
    return [y, dx, np.moveaxis(dkernel, (0, 1), (-1, -2)), *dbias]


def arrays(problem, dtype):
    x, kernel, arguments, has_bias = problem
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=s).astype(dtype) for s in (x, kernel))
    bias = rng.normal(size=kernel.shape[-1]).astype(dtype) if has_bias else None
    return x, kernel, bias, arguments


def agree(ours, theirs, tolerance):
    for one, other in zip(ours, theirs, strict=True):
        scale = max(np.abs(other).max(), 1)
        np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=tolerance)


def differentiated(x, kernel, bias, arguments):
    """Return output and gradients of `conv` by automatic differentiation, for dy = cos y."""
    given = [jnp.asarray(a) for a in (x, kernel, bias) if a is not None]

    @jax.jit
    def run(*given):
        y, pullback = jax.vjp(lambda *given: conv(*given, **arguments), *given)
        return y, *pullback(jnp.cos(y))

    return run(*given)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(problems())
def test_values_and_gradients_are_those_of_pytorch(problem):
    with jax.enable_x64(True):
        x, kernel, bias, arguments = arrays(problem, np.float64)
        ours = differentiated(x, kernel, bias, arguments)
        agree(ours, torchs(x, kernel, bias, np.cos, arguments), 1e-12)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(problems())
def test_in_float32_they_differ_by_rounding(problem):
    x, kernel, bias, arguments = arrays(problem, np.float32)
    ours = differentiated(x, kernel, bias, arguments)
    agree(ours, torchs(x, kernel, bias, np.cos, arguments), 1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(problems())
def test_the_written_backward_pass_and_im2col_are_those_of_pytorch(problem):
    with jax.enable_x64(True):
        x, kernel, _, arguments = arrays(problem, np.float64)
        bias = np.ones(kernel.shape[-1])
        expected = torchs(x, kernel, bias, np.cos, arguments)

        @jax.jit
        def run(x, kernel, bias, dy):
            return (
                conv_backward(x, kernel, dy, **arguments),
                conv_im2col(x, kernel, bias, **arguments),
                conv_im2col_backward(x, kernel, dy, **arguments),
            )

        dy = np.cos(expected[0])
        written, y, by_products = run(*(jnp.asarray(a) for a in (x, kernel, bias, dy)))
        agree(written, expected[1:], 1e-12)
        agree([y, *by_products], expected, 1e-12)
