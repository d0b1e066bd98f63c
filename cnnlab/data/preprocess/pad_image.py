"""Padding to one size, so that images of different sizes can be batched."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from cnnlab.data.argument_types import Limit, PositiveWhole, WholeNumber
from cnnlab.data.preprocess.geometric import geometric
from cnnlab.data.preprocess.resampling import Image, Resized, pictures_of
from cnnlab.data.spatial_targets import ORIGINAL_SIZE, REGION, TO_ORIGINAL
from cnnlab.errors import UserError


def _sides(value: Any) -> bool:
    both = value if isinstance(value, list | tuple) else (value, value)
    return len(both) == 2 and all(type(v) is int and v >= 0 for v in both)


Sides = Annotated[
    int | Sequence[int], Limit("a whole number of 0 or more, or two: (height, width)", _sides)
]


@geometric
def pad_image(
    image: Image,
    rng: np.random.Generator | None = None,
    /,
    *,
    size: Sides = 0,
    multiple: PositiveWhole = 32,
    fill: WholeNumber = 0,
) -> tuple[Resized, Any]:
    """Pad at the bottom and on the right to `size`, and on to multiples of `multiple`.

    Examples then have `image_region` (4,), the box of what is no padding, `original_size` (2,),
    height and width of the image that was decoded, and `to_original` (2, 3), which maps points
    (y, x, 1) to it: `cnnlab.geometry.original` takes boxes and masks back.

    Raises `UserError` for a larger image.

    Args:
        size: in pixels, or (height, width); 0 for that of the image.
        multiple: both sides become multiples of it.
        fill: value of the padding, before `normalize`.
    """
    least = size if isinstance(size, list | tuple) else (size, size)
    if any(0 < limit < side for limit, side in zip(least, image.shape[:2], strict=True)):
        raise UserError(
            f"pad_image.size = {size} is less than an image of {image.shape[0]} x {image.shape[1]} "
            "pixels has; make it larger, or give resize a smaller size or a limit, resize.longest"
        )
    sides = [-(-max(pair) // multiple) * multiple for pair in zip(least, image.shape, strict=False)]
    missing = [(0, side - own) for side, own in zip(sides, image.shape, strict=False)]
    return np.pad(image, (*missing, (0, 0)), constant_values=fill), np.eye(2, 3)


def start(example: Mapping[str, Any]) -> dict[str, Any]:
    """Return an example with the size of its image, the map to its points, and where it is."""
    size = pictures_of(example, "pad_image").shape[:2]
    return {
        **example,
        ORIGINAL_SIZE: np.array(size, np.int32),
        TO_ORIGINAL: np.eye(2, 3, dtype=np.float32),
        REGION: np.array([0, 0, *size], np.float32),
    }
