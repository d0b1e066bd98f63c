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


PICTURES = {"image": "(height, width, channels)", "video": "(frames, height, width, channels)"}


def pictures_of(example: Mapping[str, Any], name: str) -> Image:
    """Return `example["image"]`, and the frames of `example["video"]` as further channels.

    Raises a `UserError` in the name of `name` where there is neither, where one is not uint8 of its
    number of axes, or where the two differ in size.
    """
    found = []
    for key, axes in PICTURES.items():
        if key not in example:
            continue
        value = np.asarray(example[key])
        if value.dtype != np.uint8 or value.ndim != len(axes.split()) or 0 in value.shape:
            raise UserError(
                f"{name} needs a uint8 {key} of shape {axes}, not {value.dtype} {value.shape}; "
                "convert it where it is loaded"
            )
        found.append(
            np.moveaxis(value, 0, 2).reshape(*value.shape[1:3], -1) if key == "video" else value
        )
    if not found:
        raise UserError(f"{name} needs an image; the examples have: {', '.join(sorted(example))}")
    if found[0].shape[:2] != found[-1].shape[:2]:
        sizes = [" x ".join(map(str, x.shape[:2])) for x in found]
        raise UserError(f"{name} needs a video of the image's size, {sizes[0]}, not {sizes[1]}")
    return found[0] if len(found) == 1 else np.concatenate(found, axis=-1)


def split_pictures(pictures: Image, example: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the keys that `pictures_of` has put into one array."""
    split = example["image"].shape[-1] if "image" in example else 0
    found = {"image": pictures[..., :split]} if split else {}
    if "video" in example:
        frames, channels = example["video"].shape[0], example["video"].shape[-1]
        video = pictures[..., split:].reshape(*pictures.shape[:2], frames, channels)
        found["video"] = np.ascontiguousarray(np.moveaxis(video, 2, 0))
    return found


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
