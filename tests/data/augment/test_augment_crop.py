import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnnlab.data.augment.crop import crop_and_resize, pad_crop, random_resized_crop
from cnnlab.errors import UserError

KEYS = jax.random.split(jax.random.key(0), 200)


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_padded_crops_are_windows_of_the_padded_image_and_all_windows_occur(mode):
    image = np.random.default_rng(0).random((5, 7, 3), np.float32)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode=mode)
    windows = {
        padded[top : top + 5, left : left + 7].tobytes(): (top, left)
        for top in range(5)
        for left in range(5)
    }
    batch = {"image": jnp.broadcast_to(image, (200, 5, 7, 3))}
    crops = np.asarray(pad_crop(batch, KEYS, padding=2, mode=mode)["image"])
    seen = {windows[np.ascontiguousarray(crop).tobytes()] for crop in crops}
    assert len(windows) == 25
    assert len(seen) == 25


def test_no_padding_changes_nothing_and_too_much_reflection_is_an_error():
    image = jnp.arange(24.0).reshape(2, 3, 4, 1)
    np.testing.assert_array_equal(pad_crop({"image": image}, KEYS[:2], padding=0)["image"], image)
    with pytest.raises(UserError, match="padding = 3 cannot reflect images of 3 x 4"):
        pad_crop({"image": image}, KEYS[:2], padding=3, mode="reflect")


def smooth(height, width):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin(y / 9), np.cos(x / 7), np.sin((x + y) / 11)]
    return (np.stack(waves, -1).astype(np.float32) + 1) / 2


@pytest.mark.parametrize(
    ("part", "shape"),
    [((10, 4, 40, 30), (16, 16)), ((3, 5, 12, 16), (24, 40)), ((0, 0, 60, 50), (60, 50))],
)
def test_the_part_is_resized_as_pil_does_but_for_its_border(part, shape):
    image = smooth(60, 50)
    top, left, height, width = part
    run = jax.jit(crop_and_resize, static_argnums=2)
    result = np.asarray(run(jnp.asarray(image), jnp.array(part), shape))
    for channel in range(3):
        plane = Image.fromarray(image[..., channel])
        box = (left, top, left + width, top + height)
        cut = np.asarray(plane.crop(box).resize(shape[::-1], Image.Resampling.BILINEAR))
        inner = (slice(2, -2), slice(2, -2))
        np.testing.assert_allclose(result[..., channel][inner], cut[inner], atol=1e-4)


def test_the_whole_image_at_its_own_size_is_itself():
    image = jnp.asarray(smooth(20, 20))[None]
    run = jax.jit(lambda b, k: random_resized_crop(b, k, scale=(1, 1), ratio=(1, 1))["image"])
    np.testing.assert_allclose(run({"image": image}, KEYS[:1]), image, atol=1e-6)


def test_crops_show_a_part_of_the_right_area():
    # The image is its own coordinates, so the slope of a crop tells what part it is.
    y, x = np.mgrid[:48, :64].astype(np.float32)
    image = jnp.broadcast_to(np.stack([y, x], -1), (200, 48, 64, 2))
    run = jax.jit(lambda b, k: random_resized_crop(b, k, size=64, scale=(0.2, 0.6))["image"])
    crops = np.asarray(run({"image": image}, KEYS))
    assert crops.shape == (200, 64, 64, 2)
    height = 64 * (crops[:, 36, 32, 0] - crops[:, 28, 32, 0]) / 8
    width = 64 * (crops[:, 32, 36, 1] - crops[:, 32, 28, 1]) / 8
    area, aspect = height * width / (48 * 64), width / height
    assert 0.19 < area.min() < 0.23
    assert 0.55 < area.max() < 0.62
    assert abs(np.median(area) - 0.4) < 0.04
    assert 0.72 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.37
    np.testing.assert_allclose(height, np.round(height), atol=1e-2)
