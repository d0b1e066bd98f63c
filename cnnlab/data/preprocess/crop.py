"""Crops of single images: the center, a random place, a random part of random area and aspect.

Krizhevsky et al. 2012, section 4.1, crop at random from images resized to 256 pixels; Simonyan &
Zisserman 2014, section 3.1, and He et al. 2015, section 3.4, from images of random size
(`resize.random_resize`).
"""

from typing import Any

import numpy as np

from cnnlab.data.argument_types import FractionInterval, Interval, PositiveWhole
from cnnlab.data.preprocess.geometric import geometric
from cnnlab.data.preprocess.resampling import Image, Interpolation, Resized, resample
from cnnlab.errors import UserError
from cnnlab.geometry.affine import Matrix, scale_shift
from cnnlab.geometry.rectangles import TRIES, central_rectangle


@geometric
def center_crop(
    image: Image,
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 224,
) -> tuple[Resized, Matrix]:
    """Cut the central `size` x `size` pixels out.

    Raises `UserError` for a smaller image.

    Args:
        size: side of the crop in pixels.
    """
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise UserError(
            f"center_crop.size = {size} is more than an image of {height} x {width} pixels has; "
            f"resize to {size} or more first, or make the crop smaller"
        )
    top, left = round((height - size) / 2), round((width - size) / 2)
    return image[top : top + size, left : left + size], scale_shift((1, 1), (top, left))


@geometric
def random_crop(
    image: Image,
    rng: np.random.Generator,
    /,
    *,
    size: PositiveWhole = 224,
) -> tuple[Resized, Matrix]:
    """Cut `size` x `size` pixels out, all places alike.

    Raises `UserError` for a smaller image.

    Args:
        size: side of the crop in pixels.
    """
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise UserError(
            f"random_crop.size = {size} is more than an image of {height} x {width} pixels has; "
            f"resize to {size} or more first, or make the crop smaller"
        )
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    return image[top : top + size, left : left + size], scale_shift((1, 1), (top, left))


@geometric
def random_resized_crop(
    image: Image,
    rng: np.random.Generator,
    /,
    *,
    size: PositiveWhole = 224,
    scale: FractionInterval = (0.08, 1.0),
    ratio: Interval = (3 / 4, 4 / 3),
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize a random part, a fraction `scale` of the area, of aspect `ratio`, to `size` x `size`.

    Szegedy et al. 2014, "Going Deeper with Convolutions", section 6. The area is uniform in
    `scale`, the aspect (width / height) log-uniform in `ratio`; after ten draws that do not fit it
    is the largest central part of that aspect.

    Args:
        size: side of the result in pixels.
        scale: smallest and largest share of the area.
        ratio: smallest and largest aspect, width / height.
        interpolation: "area", "linear", "cubic" or "auto": see `resampling`.
    """
    top, left, height, width = _random_part(rng, image.shape[:2], scale, ratio)
    part = image[top : top + height, left : left + width]
    matrix = scale_shift((height / size, width / size), (top, left))
    return resample(part, (size, size), interpolation), matrix


def _random_part(
    rng: np.random.Generator,
    size: tuple[int, ...],
    scale: Any,
    ratio: Any,
) -> tuple[int, ...]:
    """Draw (top, left, height, width); see `random_resized_crop`."""
    height, width = size
    for _ in range(TRIES):
        area = rng.uniform(*scale) * height * width
        aspect = np.exp(rng.uniform(*np.log(ratio)))
        rows, columns = round((area / aspect) ** 0.5), round((area * aspect) ** 0.5)
        if 1 <= rows <= height and 1 <= columns <= width:
            top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
            return int(top), int(left), rows, columns
    return central_rectangle((height, width), ratio)
