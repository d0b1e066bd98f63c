"""Images of different sizes in one batch, and boxes and masks back at their original size."""

import jax
import numpy as np
import pytest

from cnnlab.data.augment import augment
from cnnlab.data.preprocess.transforms import preprocess
from cnnlab.errors import UserError
from cnnlab.geometry.original import boxes_in_original, masks_in_original

SIZES = [(30, 40), (50, 20), (24, 90)]
CHOSEN = {"resize": {"size": 32, "longest": 60}, "pad_image": {"size": 60}}


def example(height, width):
    boxes = np.array([[2, 3, 12, 19], [height - 9, width - 8, height, width]], np.float32)
    masks = np.zeros((2, height, width), np.uint8)
    for mask, (y0, x0, y1, x1) in zip(masks, boxes.astype(int), strict=True):
        mask[y0:y1, x0:x1] = 1
    return {"image": np.full((height, width, 3), 9, np.uint8), "boxes": boxes, "masks": masks}


@pytest.mark.parametrize("size", SIZES)
def test_boxes_and_masks_return_to_the_original_image(size):
    given = example(*size)
    made = preprocess(given, None, **CHOSEN)
    assert made["image"].shape == (64, 64, 3) and made["masks"].shape == (2, 64, 64)
    np.testing.assert_array_equal(made["original_size"], size)
    back = boxes_in_original(made["boxes"], made["to_original"], size)
    np.testing.assert_allclose(back, given["boxes"], atol=1e-3)
    masks = masks_in_original(made["masks"], made["to_original"], size)
    assert masks.shape == given["masks"].shape and masks.dtype == np.uint8
    shared, joined = (masks & given["masks"]).sum(), (masks | given["masks"]).sum()
    assert shared / joined > 0.85


@pytest.mark.parametrize(("size", "resized"), [(SIZES[0], (32, 42)), (SIZES[2], (16, 60))])
def test_padding_is_below_and_on_the_right_and_the_region_says_where(size, resized):
    made = preprocess(example(*size), None, **CHOSEN)
    np.testing.assert_allclose(made["image_region"], [0, 0, *resized], atol=1e-3)
    assert (made["image"][: resized[0], : resized[1]] == 9).all()
    assert not made["image"][resized[0] :].any() and not made["image"][:, resized[1] :].any()


def test_crops_and_flips_on_the_device_are_taken_back_too():
    given = example(40, 70)
    chosen = {"center_crop": {"size": 30}, **CHOSEN}
    made = preprocess(given, None, **chosen)
    np.testing.assert_allclose(made["image_region"], [0, 0, 30, 30])
    one = {key: made[key][None] for key in ("boxes", "to_original", "image_region")}
    batch = {"image": made["image"][None] / np.float32(255), **one}
    flipped = augment(batch, jax.random.split(jax.random.key(0), 1), flip={"probability": 1.0})
    back = boxes_in_original(flipped["boxes"][0], flipped["to_original"][0], (40, 70))
    # The crop begins at 16.25 and cuts the first box; the second is outside.
    np.testing.assert_allclose(back, [[2, 16.25, 12, 19]], atol=1e-3)
    np.testing.assert_allclose(flipped["image_region"], [[0, 34, 30, 64]])


def test_without_a_size_sides_become_multiples():
    assert preprocess(example(33, 64), None, pad_image={})["image"].shape == (64, 64, 3)
    made = preprocess(example(30, 40), None, pad_image={"multiple": 1, "fill": 7, "size": (31, 0)})
    assert made["image"].shape == (31, 40, 3) and (made["image"][30] == 7).all()


def test_a_larger_image_is_refused():
    with pytest.raises(UserError, match=r"pad_image.size = 60 is less than an image of 64 x 30"):
        preprocess(example(64, 30), None, pad_image={"size": 60})
    for size in (-1, (3,), 2.5, "32"):
        with pytest.raises(UserError, match="a whole number of 0 or more, or two"):
            preprocess(example(64, 30), None, pad_image={"size": size})
