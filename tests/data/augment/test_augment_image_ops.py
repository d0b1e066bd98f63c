import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cnnlab.data.augment import image_ops

# PIL truncates each blend to 8 bits and rounds the version that it blends with: up to 1 level, and
# half a level times |1 - factor|.
ENHANCE = {
    image_ops.brightness: ImageEnhance.Brightness,
    image_ops.contrast: ImageEnhance.Contrast,
    image_ops.saturation: ImageEnhance.Color,
    image_ops.sharpness: ImageEnhance.Sharpness,
}


def picture(channels, seed=0, shape=(23, 31)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.55, 1.0, 1.45, 1.9])
@pytest.mark.parametrize("change", ENHANCE, ids=lambda change: change.__name__)
def test_enhancements_are_pil_s_but_for_its_rounding(change, factor, channels):
    image = picture(channels)
    pil = Image.fromarray(image if channels == 3 else image[..., 0])
    expected = np.asarray(ENHANCE[change](pil).enhance(factor), np.float32).reshape(image.shape)
    result = np.asarray(jax.jit(change)(jnp.asarray(image / np.float32(255)), factor)) * 255
    assert abs(result - expected).max() <= 1.001 + 0.5 * abs(1 - factor)


@pytest.mark.parametrize("change", ENHANCE, ids=lambda change: change.__name__)
def test_factor_1_changes_nothing(change):
    image = jnp.asarray(np.random.default_rng(1).random((23, 31, 3), np.float32))
    np.testing.assert_allclose(jax.jit(change)(image, 1.0), image, atol=1e-6)


def test_images_too_small_to_smooth_stay():
    image = jnp.asarray(np.random.default_rng(1).random((2, 6, 3), np.float32))
    np.testing.assert_array_equal(image_ops.sharpness(image, 0.0), image)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 1 / 3, 0.5])
def test_hue_turns_as_in_the_standard_library_s_color_system(turn):
    image = picture(3) / np.float32(255)
    image[0, :5] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0.2, 0.9, 0.9]]
    expected = np.zeros_like(image)
    for place in np.ndindex(*image.shape[:2]):
        hue, saturation, value = colorsys.rgb_to_hsv(*image[place].tolist())
        expected[place] = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
    result = jax.jit(image_ops.shift_hue)(jnp.asarray(image), turn)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_a_third_of_a_turn_moves_red_to_green():
    red = jnp.zeros((23, 31, 3)).at[..., 0].set(1)
    green = np.broadcast_to(np.array([0, 1, 0]), red.shape)
    np.testing.assert_allclose(jax.jit(image_ops.shift_hue)(red, 1 / 3), green, atol=1e-6)


def skewed(seed, channels, low=0, high=256, shape=(37, 29)):
    """Random 8-bit pixels, darker values more often, as an array and as a PIL image."""
    rng = np.random.default_rng(seed)
    values = low + (high - low) * rng.random((*shape, channels)) ** 2
    pixels = values.astype(np.uint8)
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
    pixels, image = skewed(0, channels, low, high, shape)
    result = jax.jit(image_ops.equalize)(floats(pixels))
    assert difference(result, ImageOps.equalize(image)) < 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("low", "high"), [(0, 256), (60, 90), (7, 8)])
def test_autocontrast_is_pil_s_but_for_its_truncation(channels, low, high):
    pixels, image = skewed(1, channels, low, high)
    result = jax.jit(image_ops.autocontrast)(floats(pixels))
    assert difference(result, ImageOps.autocontrast(image)) < 1.001


@pytest.mark.parametrize("threshold", [0, 1, 77, 128, 255, 256])
def test_inverting_levels_from_a_threshold_on_is_pil_s_solarize(threshold):
    pixels, image = skewed(2, 3)
    run = jax.jit(lambda x: image_ops.invert(x, image_ops.to_levels(x) >= threshold))
    result = run(floats(pixels))
    assert difference(result, ImageOps.solarize(image, threshold)) < 1e-3


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pil_s_to_the_level(bits):
    pixels, image = skewed(3, 3)
    result = jax.jit(image_ops.posterize)(floats(pixels), bits)
    assert difference(result, ImageOps.posterize(image, bits)) < 1e-3


def test_values_between_levels_count_as_the_nearest():
    assert image_ops.to_levels(
        jnp.array([-0.1, 0.49 / 255, 0.51 / 255, 254.6 / 255, 1.2])
    ).tolist() == [0, 0, 1, 255, 255]
