"""Resampling of uint8 images of any number of channels by OpenCV.

`interpolation` is "area" (the mean over the pixels that an output pixel covers), "linear", "cubic"
(these two blur nothing and so alias when they shrink) or "auto": area along an axis that shrinks,
cubic along one that grows. That is near to PIL's antialiased resizing, which the usual ImageNet
recipes have.
"""

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from cnnlab.errors import UserError

Interpolation = Literal["auto", "area", "linear", "cubic"]
Image = UInt8[np.ndarray, "h w c"]
Resized = UInt8[np.ndarray, "h2 w2 c"]
FLAGS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


def image_of(example: Mapping[str, Any], name: str) -> Image:
    """Return `example["image"]`; a `UserError` naming `name` unless it is uint8 (h, w, c)."""
    if "image" not in example:
        raise UserError(f"{name} needs an image; the examples have: {', '.join(sorted(example))}")
    image = np.asarray(example["image"])
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
        raise UserError(
            f"{name} needs a uint8 image of shape (height, width, channels), not "
            f"{image.dtype} {image.shape}; convert it where it is loaded"
        )
    return image


def resample(image: Image, size: tuple[int, int], interpolation: Interpolation = "auto") -> Resized:
    """Resize `image` to `size` (height, width)."""
    if interpolation != "auto":
        return _cv2_resize(image, size, interpolation)
    smaller = min(size[0], image.shape[0]), min(size[1], image.shape[1])
    return _cv2_resize(_cv2_resize(image, smaller, "area"), size, "cubic")


def _cv2_resize(image: Image, size: tuple[int, int], interpolation: str) -> Resized:
    if image.shape[:2] == size:
        return image
    # cv2 averages areas of at most 4 channels, and drops the axis of a single one.
    channels = image.shape[-1]
    parts = [
        cv2.resize(image[..., i : i + 4], size[::-1], interpolation=FLAGS[interpolation])
        for i in range(0, channels, 4)
    ]
    return np.concatenate([part.reshape(*size, -1) for part in parts], axis=-1)
