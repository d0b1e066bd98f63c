import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from cnnlab.data.augment.grayscale import grayscale
from cnnlab.errors import UserError

KEYS = jax.random.split(jax.random.key(0), 1000)
RUN = jax.jit(
    lambda images, keys, probability: grayscale(
        {"image": images, "label": 3}, keys, probability=probability
    )["image"],
    static_argnums=2,
)


def test_all_three_channels_have_pil_s_luma():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    result = np.asarray(RUN(pixels[None] / np.float32(255), KEYS[:1], 1.0))[0] * 255
    assert abs(result - luma[..., None]).max() <= 0.51  # PIL rounds to whole levels
    assert (result == result[..., :1]).all()


def test_one_in_five_turns_gray_and_the_others_stay():
    images = jnp.broadcast_to(jnp.array([0.9, 0.1, 0.4]), (1000, 1, 1, 3))
    result = np.asarray(RUN(images, KEYS, 0.2))
    gray = (result[..., 0] == result[..., 1]).ravel()
    assert abs(gray.mean() - 0.2) < 4 * (0.16 / 1000) ** 0.5
    np.testing.assert_array_equal(result[~gray], images[~gray])


def test_gray_images_stay_and_four_channels_are_an_error():
    image = jnp.linspace(0, 1, 12).reshape(1, 3, 4, 1)
    np.testing.assert_array_equal(
        grayscale({"image": image}, KEYS[:1], probability=1)["image"], image
    )
    with pytest.raises(UserError, match="grayscale knows gray and RGB"):
        grayscale({"image": jnp.zeros((1, 2, 2, 4))}, KEYS[:1])
