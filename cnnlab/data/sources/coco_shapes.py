"""Masks and keypoints of COCO's annotations: decoded, and checked before a pixel is read."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from cnnlab.data.sources.coco_file import Picture, numbers_of
from cnnlab.errors import UserError
from cnnlab.geometry import run_length
from cnnlab.geometry.iou import iou

LOG = logging.getLogger(__name__)
# A mask whose own box overlaps the annotated one by less is of another object, or of another size.
LEAST_OVERLAP = 0.5


def masks(picture: Picture) -> UInt8[np.ndarray, "n h w"]:
    """Return the masks of an image: of polygons, run lengths, or their text."""
    found = [_mask(item.get("segmentation"), picture.size) for item in picture.annotations]
    return np.array(found, np.uint8).reshape(-1, *picture.size)


def keypoints(picture: Picture, count: int) -> Float32[np.ndarray, "n count 3"]:
    """Return the keypoints (y, x, v) of an image."""
    rows = [item["keypoints"] for item in picture.annotations]
    return np.array(rows, np.float32).reshape(-1, count, 3)[..., [1, 0, 2]]


def check_masks(file: Path, pictures: Sequence[Picture]) -> None:
    """Warn of masks that disagree with their boxes.

    Raises:
        UserError: no annotation has a mask, or one cannot be read.
    """
    places, extents, found = [], [], 0
    for where, picture, item in _each(file, pictures):
        shape = item.get("segmentation")
        try:
            extents.append(_extent(shape, picture.size))
        except (UserError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{where}: its segmentation is no mask: {error}") from error
        places.append(where)
        found += bool(shape)
    if places and not found:
        raise UserError(f"{file}: no annotation has a segmentation; coco:PATH reads boxes alone")
    boxes = np.concatenate([p.boxes for p in pictures]) if pictures else np.zeros((0, 4))
    apart = np.flatnonzero(iou(np.array(extents, float).reshape(-1, 4), boxes) < LEAST_OVERLAP)
    if apart.size:
        LOG.warning(
            "%s: %d of %d masks do not fill their boxes (an IoU below %g), the first: %s",
            *(file, len(apart), len(places), LEAST_OVERLAP, places[apart[0]]),
        )


def check_keypoints(file: Path, pictures: Sequence[Picture], count: int) -> None:
    """Raise a `UserError` for the first annotation without `count` keypoints."""
    if not count:
        raise UserError(f"{file}: its categories declare no keypoints; coco:PATH reads boxes alone")
    for where, _, item in _each(file, pictures):
        numbers_of(where, f"keypoints (x, y, v of {count})", item.get("keypoints"), 3 * count)


def _each(
    file: Path, pictures: Sequence[Picture]
) -> Iterator[tuple[str, Picture, Mapping[str, Any]]]:
    for picture in pictures:
        for item in picture.annotations:
            yield f"{file}, image {picture.id}, annotation {item['id']}", picture, item


def _mask(shape: Any, size: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    if isinstance(shape, Mapping):
        return run_length.decode(_counts(shape), size)
    polygons = [np.array(p, float).reshape(-1, 2)[:, ::-1] for p in shape or ()]
    return run_length.from_polygons(polygons, size)


def _counts(shape: Mapping[str, Any]) -> Int[np.ndarray, "n"]:
    counts = shape["counts"]
    found = run_length.from_text(counts) if isinstance(counts, str) else np.array(counts)
    return found.astype(np.int64)


def _extent(shape: Any, size: tuple[int, int]) -> Float[np.ndarray, "4"] | list[float]:
    """Return the box around a mask; raise what `_mask` would, without drawing it."""
    if isinstance(shape, Mapping):
        if tuple(shape["size"]) != size:
            sides = " x ".join(map(str, shape["size"]))
            raise ValueError(
                f"run lengths of {sides} pixels, and the image has {size[0]} x {size[1]}"
            )
        return run_length.extent(_counts(shape), size)
    if any(len(polygon) % 2 for polygon in shape or ()):
        raise ValueError("a polygon has an odd number of coordinates")
    numbers = [float(x) for x in chain.from_iterable(shape or ())]
    if not np.isfinite(numbers).all():
        raise ValueError("a coordinate is no finite number")
    xs, ys = numbers[::2], numbers[1::2]
    box = [min(ys), min(xs), max(ys), max(xs)] if numbers else [0.0] * 4
    return np.clip(box, 0, [*size, *size])
