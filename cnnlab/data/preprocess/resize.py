"""Resizing of single images, to a given size or to a random one (scale jitter)."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np

from cnnlab.data.argument_types import Limit, PositiveWhole
from cnnlab.data.preprocess.geometric import geometric
from cnnlab.data.preprocess.resampling import Image, Interpolation, Resized, resample
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
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize to a shorter side of `size`, keeping the aspect, or to exactly `size` x `size`.

    The longer side is rounded down, as in torchvision.

    Args:
        size: in pixels.
        mode: "shorter": `size` is that of the shorter side; "exact": of both.
        interpolation: "area", "linear", "cubic" or "auto": see `resampling`.
    """
    height, width = image.shape[:2]
    shorter = min(height, width) if mode == "shorter" else 0
    new = (size * height // shorter, size * width // shorter) if shorter else (size, size)
    matrix = scale_shift((height / new[0], width / new[1]), (0, 0))
    return resample(image, new, interpolation), matrix


@geometric
def random_resize(
    image: Image,
    rng: np.random.Generator,
    /,
    *,
    shorter: WholeInterval = (256, 480),
    interpolation: Interpolation = "auto",
) -> tuple[Resized, Matrix]:
    """Resize to a shorter side drawn uniformly from the whole numbers of `shorter`, ends included.

    The aspect stays; the longer side is rounded down. (256, 480) is ResNet's range, (256, 512)
    VGG's.

    Args:
        shorter: smallest and largest shorter side in pixels.
        interpolation: "area", "linear", "cubic" or "auto": see `resampling`.
    """
    size = int(rng.integers(shorter[0], shorter[1], endpoint=True))
    height, width = image.shape[:2]
    new = size * height // min(height, width), size * width // min(height, width)
    matrix = scale_shift((height / new[0], width / new[1]), (0, 0))
    return resample(image, new, interpolation), matrix
