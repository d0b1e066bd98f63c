"""Pooling and unpooling agree with PyTorch: values, winners and gradients, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnnlab.layers.pooling.pool import avg_pool, max_pool
from cnnlab.layers.pooling.unpool import max_pool_with_switches, unpool

pytestmark = pytest.mark.parity

many = settings(max_examples=100, deadline=None, derandomize=True)


@st.composite
def geometries(draw, dilated=False):
    """Windows over one to three axes as PyTorch allows them, and an input for them."""
    axes = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    taps, stride = each(1, 5 - axes), each(1, 3)
    dilation = each(1, 2) if dilated else (1,) * axes
    padding = tuple(draw(st.integers(0, k // 2)) for k in taps)
    covers = tuple(d * (k - 1) + 1 for k, d in zip(taps, dilation, strict=True))
    # PyTorch takes smaller ones too, but not in all of its functions.
    size = tuple(draw(st.integers(n, n + 3)) for n in covers)
    ceil = draw(st.booleans())
    # Few different values, so that most windows have several largest ones.
    seed = draw(st.integers(0, 2**16))
    x = np.random.default_rng(seed).integers(-2, 3, (2, *size, 2)).astype(np.float64)
    return x, taps, stride, padding, dilation, ceil


def channels_first(x):
    import torch

    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1).copy())


def channels_last(x):
    return np.moveaxis(x.detach().numpy(), 1, -1)


def both(ours, theirs, x):
    """Compare values and the gradient of x for a random gradient of the result."""
    t = channels_first(x).requires_grad_()
    expected = theirs(t)
    dy = np.random.default_rng(0).normal(size=channels_last(expected).shape)
    expected.backward(channels_first(dy))
    with jax.enable_x64(True):

        @jax.jit
        def run(x, dy):
            y, pullback = jax.vjp(ours, x)
            return y, pullback(dy)[0]

        y, dx = run(jnp.asarray(x), jnp.asarray(dy))
    np.testing.assert_allclose(y, channels_last(expected), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dx, channels_last(t.grad), rtol=1e-9, atol=1e-12)


@many
@given(geometries(dilated=True))
def test_max_pool(case):
    from torch.nn import functional as F

    x, taps, stride, padding, dilation, ceil = case
    theirs = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(taps) - 1]
    both(
        lambda x: max_pool(x, taps, stride, padding, dilation=dilation, ceil_mode=ceil),
        lambda x: theirs(x, taps, stride, padding, dilation, ceil),
        x,
    )


@many
@given(geometries(), st.booleans())
def test_avg_pool(case, count_include_pad):
    from torch.nn import functional as F

    x, taps, stride, padding, _, ceil = case
    theirs = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(taps) - 1]
    both(
        lambda x: avg_pool(
            x, taps, stride, padding, ceil_mode=ceil, count_include_pad=count_include_pad
        ),
        lambda x: theirs(x, taps, stride, padding, ceil, count_include_pad),
        x,
    )


@settings(many, max_examples=60)
@given(geometries(dilated=True))
def test_switches_and_unpooling(case):
    from torch.nn import functional as F

    x, taps, stride, padding, dilation, ceil = case
    axes = len(taps)
    with_indices = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[axes - 1]
    back = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[axes - 1]
    t, indices = with_indices(
        channels_first(x), taps, stride, padding, dilation, ceil, return_indices=True
    )
    size = x.shape[1:-1]

    @jax.jit
    def run(x):
        y, switches = max_pool_with_switches(
            x, taps, stride, padding, dilation=dilation, ceil_mode=ceil
        )
        return y, switches, unpool(y, switches, size)

    with jax.enable_x64(True):
        y, switches, out = run(jnp.asarray(x))
    np.testing.assert_array_equal(y, channels_last(t))
    np.testing.assert_array_equal(switches, channels_last(indices))
    try:
        unpooled = back(t, indices, taps, stride, padding, output_size=size)
    except ValueError:  # It computes which sizes are possible without dilation or ceil mode.
        return
    np.testing.assert_array_equal(out, channels_last(unpooled))


@settings(many, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_the_gradient_of_unpooling(window, channels, ho, wo):
    from torch.nn import functional as F

    assume(ho * wo > 1)
    x = np.random.default_rng(ho).integers(0, 3, (2, ho * window, wo * window, channels)) / 1.0
    t, indices = F.max_pool2d(channels_first(x), window, return_indices=True)
    switches = channels_last(indices)
    both(
        lambda y: unpool(y, jnp.asarray(switches), x.shape[1:3]),
        lambda y: F.max_unpool2d(y, indices, window),
        channels_last(t),
    )
