"""Crops of masks: shares of bins by hand, and the same under vmap."""

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.layers.mask_crops import crop_masks


def test_a_crop_has_the_share_of_the_mask_in_each_bin():
    mask = np.zeros((8, 8), bool)
    mask[2:6, 3:8] = True
    # Bins of 2 x 4 pixels: rows 0-1, 2-3, 4-5, 6-7; columns 0-3 and 4-7.
    got = crop_masks(mask[None], np.array([[0.0, 0, 8, 8]]), (4, 2))
    np.testing.assert_allclose(got[0], [[0, 0], [0.25, 1], [0.25, 1], [0, 0]], atol=1e-6)
    # A box of the mask itself is full.
    np.testing.assert_allclose(crop_masks(mask[None], np.array([[2.0, 3, 6, 8]]), (2, 5)), 1)


def test_boxes_choose_their_masks_and_pictures_come_one_by_one():
    rng = np.random.default_rng(0)
    masks = rng.random((3, 2, 10, 12)) < 0.5
    boxes = np.tile([[1.0, 2, 9, 8], [0, 0, 10, 12], [4, 4, 5, 6]], (3, 1, 1))
    rows = np.array([[1, 0, 1]] * 3)
    crop = lambda m, b, r: crop_masks(m, b, (4, 4), rows=r)  # noqa: E731
    together = jax.jit(jax.vmap(crop))(masks, boxes, rows)
    one = jax.jit(lambda m, b: crop_masks(m, b, (4, 4)))(jnp.asarray(masks[2])[rows[2]], boxes[2])
    np.testing.assert_allclose(together[2], one, atol=1e-6)
