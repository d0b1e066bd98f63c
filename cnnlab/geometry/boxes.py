"""Boxes [y0, x0, y1, x1] in pixels; the last axis is always of these four numbers."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float, Int, Real

from cnnlab.geometry import affine

Boxes = Real[Array | np.ndarray, "*n 4"]
Size = Sequence[int] | Int[Array | np.ndarray, "2"]
# Pixels; a box of which less is left has left the picture.
LEAST_SIDE = 1e-3


def sides(boxes: Boxes) -> Real[Array | np.ndarray, "*n 2"]:
    """Return heights and widths, 0 for a box whose corners are swapped."""
    return (boxes[..., 2:] - boxes[..., :2]).clip(0)


def area(boxes: Boxes) -> Real[Array | np.ndarray, "*n"]:
    """Return areas in square pixels."""
    height_width = sides(boxes)
    return height_width[..., 0] * height_width[..., 1]


def from_xyxy(boxes: Boxes) -> Boxes:
    """Return boxes given as [x0, y0, x1, y1]; its own inverse."""
    return boxes[..., [1, 0, 3, 2]]


def from_xywh(boxes: Boxes) -> Boxes:
    """Return boxes given as [x0, y0, width, height], as COCO has them."""
    xp = affine.namespace(boxes)
    return from_xyxy(xp.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1))


def to_xywh(boxes: Boxes) -> Boxes:
    """Return [x0, y0, width, height] of boxes."""
    xp, corners = affine.namespace(boxes), from_xyxy(boxes)
    return xp.concatenate([corners[..., :2], corners[..., 2:] - corners[..., :2]], axis=-1)


def transform(matrix: affine.Matrix, boxes: Boxes) -> Boxes:
    """Return the smallest upright boxes around the boxes mapped by `matrix`."""
    xp = affine.namespace(matrix, boxes)
    corners = xp.stack([boxes[..., [0, 1]], boxes[..., [0, 3]], boxes[..., [2, 1]], boxes[..., 2:]])
    mapped = affine.transform(matrix, corners)
    return xp.concatenate([mapped.min(0), mapped.max(0)], axis=-1)


def clip(boxes: Boxes, size: Size) -> Boxes:
    """Return the parts of boxes inside a picture of `size` (height, width)."""
    xp = affine.namespace(boxes)
    return xp.clip(boxes, 0, xp.asarray([*size, *size], boxes.dtype))


def visible(boxes: Boxes, size: Sequence[int]) -> Float[Array | np.ndarray, "*n"]:
    """Return the share of each box's area inside a picture; 0 for one that is empty or outside."""
    xp = affine.namespace(boxes)
    cut, whole = clip(boxes, size), area(boxes)
    there = (sides(cut) >= LEAST_SIDE).all(-1)
    return xp.where(there, area(cut) / xp.where(there, whole, 1), 0.0)
