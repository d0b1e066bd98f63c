import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageOps

from cnnlab.data.augment.solarize import solarize

KEYS = jax.random.split(jax.random.key(0), 1000)


def run(images, keys=KEYS, **chosen):
    return np.asarray(
        jax.jit(lambda i, k: solarize({"image": i}, k, **chosen)["image"])(images, keys)
    )


def test_all_levels_are_pil_s():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.asarray(ImageOps.solarize(Image.fromarray(pixels), 128), np.float32)
    result = run(pixels[None, ..., None] / np.float32(255), KEYS[:1], probability=1)[0, ..., 0]
    np.testing.assert_allclose(result * 255, expected, atol=1e-4)


def test_the_threshold_itself_is_inverted():
    images = jnp.array([0.0, 0.25, 0.249, 1.0]).reshape(1, 1, 4, 1)
    result = run(images, KEYS[:1], probability=1, threshold=0.25)
    np.testing.assert_allclose(result.ravel(), [0.0, 0.75, 0.249, 0.0], atol=1e-7)


def test_one_in_five_is_solarized_and_the_others_stay():
    result = run(jnp.full((1000, 1, 1, 3), 0.9))
    changed = (result < 0.5).all((1, 2, 3))
    assert abs(changed.mean() - 0.2) < 4 * (0.16 / 1000) ** 0.5
    assert (result[~changed] == np.float32(0.9)).all()
