"""From an image as a model sees it, resized, cropped and padded, back to the original one.

`to_original` (2, 3) maps points (y, x, 1) of the image to points (y, x) of the original one, of
height and width `original_size`.
"""

from collections.abc import Sequence

from jaxtyping import Array, Real, Shaped
from numpy import ndarray

from cnnlab.geometry import affine, boxes, dense_maps


def boxes_in_original(
    found: boxes.Boxes, to_original: affine.Matrix, original_size: boxes.Size
) -> Real[Array | ndarray, "*n 4"]:
    """Return boxes of the image as boxes of the original one, clipped to it."""
    return boxes.clip(boxes.transform(to_original, found), original_size)


def masks_in_original(
    found: Shaped[Array | ndarray, "n h w"],
    to_original: affine.Matrix,
    original_size: Sequence[int],
    *,
    fill: int = 0,
) -> Shaped[Array | ndarray, "n h2 w2"]:
    """Return masks, or other maps, of the image at the size of the original one.

    Of each pixel the nearest is taken, `fill` where the image does not show it.
    """
    backward = affine.inverse(to_original)
    return dense_maps.sample(found, backward, original_size, axis=1, fill=fill)
