"""Resizing of single images, to a given size or to a random one (scale jitter)."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np

from cnnlab.data.argument_types import Limit, PositiveWhole, WholeNumber
from cnnlab.data.preprocess.geometric import geometric
from cnnlab.data.preprocess.resampling import Image, Interpolation, Resized, resample
from cnnlab.errors import UserError
from cnnlab.geometry.affine import Matrix, scale_shift


def _whole_interval(value: Any) -> bool:
    listed = isinstance(value, list | tuple) and len(value) == 2
    return listed and all(type(v) is int for v in value) and 0 < value[0] <= value[1]


WholeInterval = Annotated[
    Sequence[int], Limit("two whole numbers (low, high) with 0 < low <= high", _whole_interval)
]


@geometric
def resize(
    image: Image,
    rng: np.random.Generator | None = None,
    /,
    *,
    size: PositiveWhole = 256,
    mode: Literal["shorter", "exact"] = "shorter",
    longest: WholeNumber = 0,
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize to a shorter side of `size`, keeping the aspect, or to exactly `size` x `size`.

    The longer side is rounded down, as in torchvision.

    Args:
        size: in pixels.
        mode: "shorter": `size` is that of the shorter side; "exact": of both.
        longest: limit of the longer side, to which the shorter one gives way; 0 for none.
        interpolation: "area", "linear", "cubic" or "auto": see `resampling`.
    """
    if longest and mode == "exact":
        raise UserError("resize.longest is for mode='shorter': 'exact' has two sides of `size`")
    new = (size, size) if mode == "exact" else _keep_aspect(image.shape[:2], size, longest)
    return _resize(image, new, interpolation)


@geometric
def random_resize(
    image: Image,
    rng: np.random.Generator,
    /,
    *,
    shorter: WholeInterval = (256, 480),
    longest: WholeNumber = 0,
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize to a shorter side drawn uniformly from the whole numbers of `shorter`, ends included.

    The aspect stays; the longer side is rounded down. (256, 480) is ResNet's range, (256, 512)
    VGG's.

    Args:
        shorter: smallest and largest shorter side in pixels.
        longest: limit of the longer side, to which the shorter one gives way; 0 for none.
        interpolation: "area", "linear", "cubic" or "auto": see `resampling`.
    """
    size = int(rng.integers(shorter[0], shorter[1], endpoint=True))
    return _resize(image, _keep_aspect(image.shape[:2], size, longest), interpolation)


def _keep_aspect(sides: Sequence[int], shorter: int, longest: int) -> tuple[int, int]:
    """Return height and width for a shorter side, or for the longest side where that is less."""
    old, new = min(sides), shorter
    if 0 < longest < shorter * max(sides) // old:
        old, new = max(sides), longest
    return max(1, new * sides[0] // old), max(1, new * sides[1] // old)


def _resize(
    image: Image, new: tuple[int, int], interpolation: Interpolation
) -> tuple[Resized, Matrix]:
    matrix = scale_shift((image.shape[0] / new[0], image.shape[1] / new[1]), (0, 0))
    return resample(image, new, interpolation), matrix
