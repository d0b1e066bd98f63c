import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageOps

from cnnlab.data.augment import gray_levels


def picture(seed, channels, low=0, high=256, shape=(37, 29)):
    """Random 8-bit pixels, darker values more often, as an array and as a PIL image."""
    rng = np.random.default_rng(seed)
    skewed = low + (high - low) * rng.random((*shape, channels)) ** 2
    pixels = skewed.astype(np.uint8)
    return pixels, Image.fromarray(pixels if channels == 3 else pixels[..., 0])


def difference(result, expected):
    """Largest difference in 8-bit levels."""
    expected = np.asarray(expected, np.float32).reshape(result.shape)
    return abs(np.asarray(result) * 255 - expected).max()


def floats(pixels):
    return jnp.asarray(pixels / np.float32(255))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(37, 29), (12, 10), (100, 90)])
@pytest.mark.parametrize(("low", "high"), [(0, 256), (60, 90), (7, 8), (254, 256)])
def test_equalize_is_pil_s_to_the_level(channels, shape, low, high):
    pixels, image = picture(0, channels, low, high, shape)
    result = jax.jit(gray_levels.equalize)(floats(pixels))
    assert difference(result, ImageOps.equalize(image)) < 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("low", "high"), [(0, 256), (60, 90), (7, 8)])
def test_autocontrast_is_pil_s_but_for_its_truncation(channels, low, high):
    pixels, image = picture(1, channels, low, high)
    result = jax.jit(gray_levels.autocontrast)(floats(pixels))
    assert difference(result, ImageOps.autocontrast(image)) < 1.001


@pytest.mark.parametrize("threshold", [0, 1, 77, 128, 255, 256])
def test_solarize_is_pil_s_to_the_level(threshold):
    pixels, image = picture(2, 3)
    result = jax.jit(gray_levels.solarize)(floats(pixels), threshold)
    assert difference(result, ImageOps.solarize(image, threshold)) < 1e-3


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pil_s_to_the_level(bits):
    pixels, image = picture(3, 3)
    result = jax.jit(gray_levels.posterize)(floats(pixels), bits)
    assert difference(result, ImageOps.posterize(image, bits)) < 1e-3


def test_values_between_levels_count_as_the_nearest():
    assert gray_levels.to_levels(
        jnp.array([-0.1, 0.49 / 255, 0.51 / 255, 254.6 / 255, 1.2])
    ).tolist() == [0, 0, 1, 255, 255]
