"""Inflated kernels: clips that stand still answer as their image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.inflation import inflate

IMAGE = jax.random.normal(jax.random.key(0), (2, 6, 7, 3))
KERNEL = jax.random.normal(jax.random.key(1), (3, 3, 3, 4))
SPACE = ((1, 1), (1, 1))


@pytest.mark.parametrize("way", ["mean", "center"])
@pytest.mark.parametrize("time", [1, 2, 3])
@pytest.mark.sample(2)
def test_a_constant_clip_gives_the_response_of_its_image(way, time):
    clip = jnp.repeat(IMAGE[:, None], 5, axis=1)
    bias = jnp.arange(4.0)
    y = conv(clip, inflate(KERNEL, time, way), bias, padding=((0, 0), *SPACE))
    expected = conv(IMAGE, KERNEL, bias, padding=SPACE)
    assert y.shape[1] == 5 - time + 1
    for t in range(y.shape[1]):
        np.testing.assert_allclose(y[:, t], expected, rtol=1e-5, atol=1e-5)


def test_zeros_beyond_the_clip_change_the_ends_of_the_mean_but_not_of_the_center():
    clip = jnp.repeat(IMAGE[:, None], 4, axis=1)
    expected = conv(IMAGE, KERNEL, padding=SPACE)
    mean = conv(clip, inflate(KERNEL, 3), padding="SAME")
    np.testing.assert_allclose(mean[:, 0], 2 / 3 * expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mean[:, 1], expected, rtol=1e-5, atol=1e-5)
    center = conv(clip, inflate(KERNEL, 3, "center"), padding="SAME")
    np.testing.assert_allclose(center[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_a_moving_clip_is_averaged_or_sampled():
    clip = jax.random.normal(jax.random.key(2), (2, 3, 6, 7, 3))
    each = conv(clip, KERNEL)
    pads = ((0, 0), *SPACE)
    mean = conv(clip, inflate(KERNEL, 3), padding=pads)[:, 0]
    np.testing.assert_allclose(mean, each.mean(axis=1), rtol=1e-4, atol=1e-5)
    center = conv(clip, inflate(KERNEL, 3, "center"), padding=pads)[:, 0]
    np.testing.assert_allclose(center, each[:, 1], rtol=1e-4, atol=1e-5)


def test_taps_and_dtype_are_those_asked_for():
    for way in ("mean", "center"):
        kernel = inflate(KERNEL.astype(jnp.bfloat16), 4, way)
        assert kernel.shape == (4, *KERNEL.shape)
        assert kernel.dtype == jnp.bfloat16
    filled = np.asarray(inflate(KERNEL, 4, "center")).any(axis=(1, 2, 3, 4))
    np.testing.assert_array_equal(filled, [False, True, False, False])


@pytest.mark.parametrize(
    ("time", "way", "message"),
    [(0, "mean", "inflate: time=0 must be at least 1"), (3, "middle", "way='middle' is none of")],
)
def test_what_cannot_be_is_named(time, way, message):
    with pytest.raises(UserError, match=message):
        inflate(KERNEL, time, way)
