"""Gaussian blur against OpenCV's, which convolves axis by axis with the same border."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.data.augment.gaussian_blur import band, gaussian_blur

KEYS = jax.random.split(jax.random.key(0), 200)


def pictures(height, width, channels=3, count=6):
    shape = (count, height, width, channels)
    return np.random.default_rng(0).random(shape, np.float32)


def blurred(images, keys=KEYS, **chosen):
    run = jax.jit(lambda images, keys: gaussian_blur({"image": images}, keys, **chosen)["image"])
    return np.asarray(run(images, keys[: len(images)]))


@pytest.mark.parametrize(
    ("shape", "kernel", "sizes"),
    [((30, 52), 0.1, (3, 5)), ((8, 8), 0.1, (3, 3)), ((12, 20), 0.5, (7, 11))],
)
@pytest.mark.parametrize("sigma", [0.1, 0.8, 2.0])
def test_it_is_opencv_s_blur_with_mirrored_borders(shape, kernel, sizes, sigma):
    images = pictures(*shape)
    result = blurred(images, sigma=(sigma, sigma), kernel=kernel, probability=1)
    for image, found in zip(images, result, strict=True):
        expected = cv2.GaussianBlur(
            image, sizes[::-1], sigma, sigmaY=sigma, borderType=cv2.BORDER_REFLECT_101
        )
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(("size", "pixels"), [(8, 3), (28, 3), (32, 3), (96, 9), (224, 23)])
def test_the_kernel_is_a_tenth_of_the_side_and_odd(size, pixels):
    # Of a wide Gaussian all weights count: a row in the middle has as many as the kernel.
    images = jnp.zeros((1, size, 1, 1)).at[:, size // 2].set(1)
    spread = blurred(images, sigma=(9.0, 9.0), probability=1)[0, :, 0, 0]
    assert (spread > 0).sum() == pixels


def test_a_row_s_weights_are_the_gaussian_s_and_mirrored_at_the_border():
    weights = np.exp(-0.5 * (np.arange(-2, 3) / 1.3) ** 2)
    weights /= weights.sum()
    expected = np.zeros((6, 6))
    for row in range(6):
        for offset, weight in zip(range(-2, 3), weights, strict=True):
            column = abs(row + offset)
            expected[row, column if column < 6 else 10 - column] += weight
    np.testing.assert_allclose(band(jnp.float32(1.3), 6, 2), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_images_of_a_pixel_or_two_keep_their_mean(shape):
    images = np.full((3, *shape, 1), 0.7, np.float32)
    np.testing.assert_allclose(blurred(images, probability=1), images, atol=1e-6)


def test_widths_are_uniform_and_half_of_the_images_stay():
    images = np.zeros((200, 9, 1, 1), np.float32)
    images[:, 4] = 1
    result = blurred(images)[..., 0, 0]
    kept = (result == images[..., 0, 0]).all(1)
    # Very narrow ones change nothing either: below 0.17 in a range of 1.9, hence 4 % more.
    assert abs(kept.mean() - 0.52) < 4 * (0.25 / 200) ** 0.5
    ratio = result[~kept][:, 3] / result[~kept][:, 4]
    sigma = np.sqrt(-0.5 / np.log(ratio))
    assert sigma.max() <= 2.0 + 1e-4
    np.testing.assert_allclose(np.quantile(sigma, [0.25, 0.5, 0.75]), [0.6, 1.08, 1.55], atol=0.2)


def test_bfloat16_images_stay_so():
    images = jnp.asarray(pictures(8, 8), jnp.bfloat16)
    result = jax.jit(lambda i: gaussian_blur({"image": i}, KEYS[:6])["image"])(images)
    assert result.dtype == jnp.bfloat16
