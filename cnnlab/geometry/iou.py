"""Intersection over union (IoU) of boxes, GIoU, DIoU and CIoU: pairwise or row by row.

Boxes are [y0, x0, y1, x1]. A box whose corners are swapped is empty. Of two empty boxes every
measure but the distance is 0, with gradient 0 (torchvision's IoU of them is NaN).

    IoU    intersection over union
    GIoU   IoU - (hull - union) / hull (Rezatofighi et al. 2019)
    DIoU   IoU - d^2 / c^2, d the distance of the centers, c the diagonal of the hull (Zheng et al.
           2020)
    CIoU   DIoU - a v, v = 4 / pi^2 (atan w/h - atan w'/h')^2, a = v / (1 - IoU + v), held constant
           in the gradient (Zheng et al. 2020)
"""

import jax
import numpy as np
from jaxtyping import Array, Float, Real

from cnnlab.geometry.affine import namespace
from cnnlab.geometry.boxes import area, sides

Boxes = Real[Array | np.ndarray, "*#n 4"]
Measure = Float[Array | np.ndarray, "*n"]
Part = Float[Array | np.ndarray, "*#n"]


def pairwise_iou(
    first: Real[Array | np.ndarray, "*b n 4"], second: Real[Array | np.ndarray, "*b m 4"]
) -> Float[Array | np.ndarray, "*b n m"]:
    """Return the IoU of every box of the first with every box of the second."""
    return iou(first[..., :, None, :], second[..., None, :, :])


def pairwise_ioa(
    first: Real[Array | np.ndarray, "*b n 4"], second: Real[Array | np.ndarray, "*b m 4"]
) -> Float[Array | np.ndarray, "*b n m"]:
    """Return which share of each box of the first lies in each of the second (COCO's crowds)."""
    first, second = first[..., :, None, :], second[..., None, :, :]
    return _quotient(_intersection(first, second), area(first))


def iou(first: Boxes, second: Boxes) -> Measure:
    """Return the IoU of boxes, row by row."""
    return _overlap(first, second)[0]


def giou(first: Boxes, second: Boxes) -> Measure:
    """Return the GIoU of boxes, from -1 (far apart) to 1."""
    share, union = _overlap(first, second)
    hull = area(_hull(first, second))
    return share - _quotient(hull - union, hull)


def diou(first: Boxes, second: Boxes) -> Measure:
    """Return the DIoU of boxes, from -1 to 1."""
    between = (_center(first) - _center(second)) ** 2
    diagonal = sides(_hull(first, second)) ** 2
    return iou(first, second) - _quotient(between.sum(-1), diagonal.sum(-1))


def ciou(first: Boxes, second: Boxes) -> Measure:
    """Return the CIoU of boxes."""
    v = 4 / np.pi**2 * (_angle(first) - _angle(second)) ** 2
    share = iou(first, second)
    weight = jax.lax.stop_gradient(_quotient(v, 1 - share + v))
    return diou(first, second) - weight * v


def _overlap(first: Boxes, second: Boxes) -> tuple[Measure, Measure]:
    """Return intersection over union, and the union."""
    both = _intersection(first, second)
    union = area(first) + area(second) - both
    return _quotient(both, union), union


def _intersection(first: Boxes, second: Boxes) -> Measure:
    xp = namespace(first, second)
    low = xp.maximum(first[..., :2], second[..., :2])
    high = xp.minimum(first[..., 2:], second[..., 2:])
    return area(xp.concatenate([low, high], axis=-1))


def _hull(first: Boxes, second: Boxes) -> Real[Array | np.ndarray, "*n 4"]:
    """Return the smallest boxes around both."""
    xp = namespace(first, second)
    low = xp.minimum(first[..., :2], second[..., :2])
    return xp.concatenate([low, xp.maximum(first[..., 2:], second[..., 2:])], axis=-1)


def _center(boxes: Boxes) -> Float[Array | np.ndarray, "*n 2"]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _angle(boxes: Boxes) -> Measure:
    """Return atan(width / height); 0 for an empty box."""
    xp, height_width = namespace(boxes), sides(boxes)
    height, width = height_width[..., 0], height_width[..., 1]
    there = (height > 0) & (width > 0)
    return xp.where(there, xp.arctan2(width, xp.where(there, height, 1)), 0.0)


def _quotient(above: Part, below: Part) -> Measure:
    """Return the quotient, or 0 where the divisor is 0."""
    xp, there = namespace(above, below), below > 0
    return xp.where(there, above / xp.where(there, below, 1), 0.0)
