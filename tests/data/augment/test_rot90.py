"""Quarter turns: each image by one of four angles, equally likely."""

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.data.augment.rot90 import quarter_turn

IMAGE = np.random.default_rng(0).normal(size=(5, 5, 3)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(0), 400)


def test_images_are_turned_by_one_of_four_angles_equally_often():
    batch = {"image": jnp.broadcast_to(IMAGE, (400, *IMAGE.shape)), "label": jnp.arange(400)}
    turned = jax.jit(quarter_turn)(batch, KEYS)
    counts = [
        np.sum(np.all(turned["image"] == np.rot90(IMAGE, n), axis=(1, 2, 3))) for n in range(4)
    ]
    assert sum(counts) == 400
    # Four standard deviations of a binomial count of 400 with probability 1/4.
    assert all(abs(count - 100) < 4 * 75**0.5 for count in counts)
    np.testing.assert_array_equal(turned["label"], batch["label"])


def test_the_turn_of_an_image_depends_on_its_own_key_alone():
    images = jnp.asarray(np.random.default_rng(1).normal(size=(8, 4, 4, 1)), jnp.float32)
    both = quarter_turn({"image": images}, KEYS[:8])["image"]
    np.testing.assert_array_equal(
        quarter_turn({"image": images[3:5]}, KEYS[3:5])["image"], both[3:5]
    )


def test_images_that_are_not_square_are_turned_upside_down_or_left():
    images = jnp.asarray(np.random.default_rng(1).normal(size=(50, 4, 6, 1)), jnp.float32)
    turned = quarter_turn({"image": images}, KEYS[:50])["image"]
    upside_down = np.all(turned == images[:, ::-1, ::-1], axis=(1, 2, 3))
    left = np.all(turned == images, axis=(1, 2, 3))
    assert np.all(upside_down | left) and 10 < np.sum(left) < 40
