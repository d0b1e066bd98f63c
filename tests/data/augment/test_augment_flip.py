import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.data.augment.flip import flip, quarter_turn

KEYS = jax.random.split(jax.random.key(3), 400)


def test_half_are_mirrored_and_half_are_not():
    image = jnp.asarray(np.random.default_rng(0).random((400, 3, 5, 2), np.float32))
    result = np.asarray(flip({"image": image}, KEYS)["image"])
    same = (result == image).all((1, 2, 3))
    mirrored = (result == image[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 160 <= mirrored.sum() <= 240  # binomial(400, 1/2) within 4 standard deviations


def test_probability_0_mirrors_none_and_1_all():
    image = jnp.arange(400 * 6.0).reshape(400, 2, 3, 1)
    never, always = (flip({"image": image}, KEYS, probability=p)["image"] for p in (0, 1))
    np.testing.assert_array_equal(never, image)
    np.testing.assert_array_equal(always, image[:, :, ::-1])


def test_boxes_and_masks_stay_on_their_object():
    # One rectangle an image: pixels, mask and box say the same before and after.
    rng = np.random.default_rng(0)
    image, boxes = np.zeros((20, 9, 12, 1), np.float32), np.zeros((20, 2, 4), np.float32)
    for number in range(20):
        y0, x0 = rng.integers(0, 5, 2)
        y1, x1 = y0 + rng.integers(1, 5), x0 + rng.integers(1, 8)
        image[number, y0:y1, x0:x1], boxes[number, 0] = 1, (y0, x0, y1, x1)
    masks = np.stack([image[..., 0] > 0, np.zeros((20, 9, 12), bool)], axis=1)
    batch = {"image": jnp.asarray(image), "boxes": jnp.asarray(boxes), "masks": jnp.asarray(masks)}
    result = {key: np.asarray(value) for key, value in flip(batch, KEYS[:20]).items()}
    assert 0 < sum((result["image"] != image).any((1, 2, 3))) < 20
    for number in range(20):
        rows, columns = np.nonzero(result["image"][number, ..., 0])
        expected = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        np.testing.assert_array_equal(result["boxes"][number, 0], expected)
        np.testing.assert_array_equal(result["masks"][number, 0], result["image"][number, ..., 0])
        y0, x0, y1, x1 = result["boxes"][number, 1]
        assert (y1 - y0) * (x1 - x0) == 0


IMAGE = np.random.default_rng(0).normal(size=(5, 5, 3)).astype(np.float32)
TURN_KEYS = jax.random.split(jax.random.key(0), 400)


def test_images_are_rotated_by_one_of_four_angles_equally_often():
    batch = {"image": jnp.broadcast_to(IMAGE, (400, *IMAGE.shape)), "label": jnp.arange(400)}
    rotated = jax.jit(quarter_turn)(batch, TURN_KEYS)
    counts = [
        np.sum(np.all(rotated["image"] == np.rot90(IMAGE, n), axis=(1, 2, 3))) for n in range(4)
    ]
    assert sum(counts) == 400
    # Four standard deviations of a binomial count of 400 with probability 1/4.
    assert all(abs(count - 100) < 4 * 75**0.5 for count in counts)
    np.testing.assert_array_equal(rotated["label"], batch["label"])


def test_the_turn_of_an_image_depends_on_its_own_key_alone():
    images = jnp.asarray(np.random.default_rng(1).normal(size=(8, 4, 4, 1)), jnp.float32)
    both = quarter_turn({"image": images}, TURN_KEYS[:8])["image"]
    np.testing.assert_array_equal(
        quarter_turn({"image": images[3:5]}, TURN_KEYS[3:5])["image"], both[3:5]
    )


def test_images_that_are_not_square_are_rotated_upside_down_or_left():
    images = jnp.asarray(np.random.default_rng(1).normal(size=(50, 4, 6, 1)), jnp.float32)
    rotated = quarter_turn({"image": images}, TURN_KEYS[:50])["image"]
    upside_down = np.all(rotated == images[:, ::-1, ::-1], axis=(1, 2, 3))
    left = np.all(rotated == images, axis=(1, 2, 3))
    assert np.all(upside_down | left) and 10 < np.sum(left) < 40
