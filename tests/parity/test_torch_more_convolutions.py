"""Transposed and depthwise convolution, channel shuffle and upsampling agree with PyTorch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnnlab.layers.convolution.channel_shuffle import channel_shuffle
from cnnlab.layers.convolution.depthwise import depthwise_conv
from cnnlab.layers.convolution.transposed import conv_transpose
from cnnlab.layers.pooling.upsample import BilinearUpsampling

pytestmark = pytest.mark.parity

many = partial(settings, deadline=None, derandomize=True)


def channels_first(a):
    """As PyTorch has it: [b, *space, c] to [b, c, *space]."""
    return np.moveaxis(np.asarray(a), -1, 1)


def close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def numbers(axes, low, high):
    return st.tuples(*(st.integers(low, high) for _ in range(axes)))


@st.composite
def cases(draw):
    axes = draw(st.sampled_from([1, 2, 2, 3]))
    small = axes == 3
    case = dict(
        size=draw(numbers(axes, 1, 3 if small else 6)),
        window=draw(numbers(axes, 1, 2 if small else 4)),
        stride=draw(numbers(axes, 1, 3)),
        padding=draw(numbers(axes, 0, 2)),
        dilation=draw(numbers(axes, 1, 3)),
        groups=draw(st.integers(1, 3)),
        of=draw(numbers(2, 1, 3)),
        seed=draw(st.integers(0, 9)),
    )
    case["output_padding"] = tuple(
        draw(st.integers(0, max(s, d) - 1))
        for s, d in zip(case["stride"], case["dilation"], strict=True)
    )
    return case


def arrays(case, *shapes):
    rng = np.random.default_rng(case["seed"])
    return [rng.normal(size=shape) for shape in shapes]


def check(ours, theirs, inputs, to_torch):
    """Compare values and gradients of all inputs.

    `to_torch` gives the layout of each input there, and so that of its gradient.
    """
    import torch

    tensors = [
        torch.from_numpy(f(a).copy()).requires_grad_()
        for f, a in zip(to_torch, inputs, strict=True)
    ]
    y = theirs(*tensors)
    dy = np.random.default_rng(1).normal(size=np.moveaxis(y.detach().numpy(), 1, -1).shape)
    expected = torch.autograd.grad(y, tensors, torch.from_numpy(channels_first(dy).copy()))

    @jax.jit
    def run(x, kernel, bias, dy):
        y, pullback = jax.vjp(ours, x, kernel, bias)
        return y, pullback(dy)

    got, gradients = run(*(jnp.asarray(a) for a in (*inputs, dy)))
    close([channels_first(got)], [y.detach().numpy()])
    close([f(np.asarray(a)) for f, a in zip(to_torch, gradients, strict=True)], expected)


@many(max_examples=100)
@given(cases())
def test_conv_transpose_over_one_to_three_axes(case):
    import torch

    axes, groups, (a, b) = len(case["size"]), case["groups"], case["of"]
    grid = zip(case["size"], case["window"], case["stride"], case["dilation"], strict=True)
    whole = [s * (i - 1) + d * (k - 1) + 1 for i, k, s, d in grid]
    ends = zip(whole, case["padding"], case["output_padding"], strict=True)
    assume(all(i - 2 * p + o > 0 for i, p, o in ends))
    shared = {k: case[k] for k in ("stride", "padding", "output_padding", "dilation", "groups")}
    inputs = arrays(
        case, (2, *case["size"], a * groups), (*case["window"], b, a * groups), (b * groups,)
    )

    def kernel_there(w):
        return np.moveaxis(w, (-1, -2), (0, 1))

    with jax.enable_x64(True):
        check(
            partial(conv_transpose, **shared),
            partial(getattr(torch.nn.functional, f"conv_transpose{axes}d"), **shared),
            inputs,
            (channels_first, kernel_there, np.asarray),
        )


@many(max_examples=80)
@given(cases())
def test_depthwise_convolution_over_one_to_three_axes(case):
    import torch

    axes, (channels, multiplier) = len(case["size"]), case["of"]
    grid = zip(case["size"], case["window"], case["padding"], case["dilation"], strict=True)
    assume(all(i + 2 * p > d * (k - 1) for i, k, p, d in grid))
    shared = {k: case[k] for k in ("stride", "padding", "dilation")}
    filters = channels * multiplier
    inputs = arrays(case, (2, *case["size"], channels), (*case["window"], 1, filters), (filters,))

    def kernel_there(w):
        return np.moveaxis(w, (-1, -2), (0, 1))

    convolve = getattr(torch.nn.functional, f"conv{axes}d")
    with jax.enable_x64(True):
        check(
            partial(depthwise_conv, **shared),
            partial(convolve, groups=channels, **shared),
            inputs,
            (channels_first, kernel_there, np.asarray),
        )


@many(max_examples=12)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_channel_shuffle(groups, in_each, size):
    import torch

    x = np.arange(2 * size * size * groups * in_each, dtype=np.float32)
    x = x.reshape(2, size, size, groups * in_each)
    theirs = torch.nn.ChannelShuffle(groups)(torch.from_numpy(channels_first(x).copy()))
    np.testing.assert_array_equal(
        channels_first(channel_shuffle(jnp.asarray(x), groups)), theirs.numpy()
    )


@many(max_examples=30)
@given(numbers(2, 1, 5), numbers(2, 2, 5), st.integers(1, 3))
def test_bilinear_upsampling_in_the_interior(factor, size, channels):
    import torch

    x = np.random.default_rng(0).normal(size=(2, *size, channels))
    theirs = torch.from_numpy(channels_first(x).copy()).requires_grad_()
    up = torch.nn.functional.interpolate(theirs, scale_factor=factor, mode="bilinear")
    inside = tuple(slice(f // 2, f * i - f // 2) for f, i in zip(factor, size, strict=True))
    up = up[(..., *inside)]
    up.sum().backward()

    with jax.enable_x64(True):
        ours = lambda x: BilinearUpsampling(factor).apply({}, x)[(slice(None), *inside)]  # noqa: E731
        y, dx = jax.jit(lambda x: (ours(x), jax.grad(lambda x: ours(x).sum())(x)))(jnp.asarray(x))
        close([channels_first(y), channels_first(dx)], [up.detach().numpy(), theirs.grad.numpy()])
