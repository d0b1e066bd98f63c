"""How much boxes overlap: IoU and its generalizations, of each pair or row by row.

Boxes are [y0, x0, y1, x1]. A box whose corners are swapped is empty. Of two empty boxes every
measure but the distance is 0, with gradient 0 (a quotient of zeros elsewhere).

    IoU    intersection over union
    GIoU   IoU - (hull - union) / hull (Rezatofighi et al. 2019)
    DIoU   IoU - d^2 / c^2, d the distance of the centers, c the diagonal of the hull (Zheng et al.
           2020)
    CIoU   DIoU - a v, v = 4 / pi^2 (atan w/h - atan w'/h')^2, a = v / (1 - IoU + v), held constant
           in the gradient (Zheng et al. 2020)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

Boxes = Real[Array | np.ndarray, "*#n 4"]
Measure = Float[Array, "*n"]


def pairwise_iou(
    first: Real[Array | np.ndarray, "*b n 4"], second: Real[Array | np.ndarray, "*b m 4"]
) -> Float[Array, "*b n m"]:
    """Return the IoU of every box of the first with every box of the second."""
    return iou(first[..., :, None, :], second[..., None, :, :])


def pairwise_ioa(
    first: Real[Array | np.ndarray, "*b n 4"], second: Real[Array | np.ndarray, "*b m 4"]
) -> Float[Array, "*b n m"]:
    """Return which share of each box of the first lies in each of the second (COCO's crowds)."""
    first, second = jnp.asarray(first)[..., :, None, :], jnp.asarray(second)[..., None, :, :]
    return _quotient(_intersection(first, second), _area(first))


def iou(first: Boxes, second: Boxes) -> Measure:
    """Return the IoU of boxes, row by row."""
    return _overlap(first, second)[0]


def giou(first: Boxes, second: Boxes) -> Measure:
    """Return the GIoU of boxes, from -1 (far apart) to 1."""
    share, union = _overlap(first, second)
    hull = _area(_hull(first, second))
    return share - _quotient(hull - union, hull)


def diou(first: Boxes, second: Boxes) -> Measure:
    """Return the DIoU of boxes, from -1 to 1."""
    first, second = jnp.asarray(first), jnp.asarray(second)
    between = (_center(first) - _center(second)) ** 2
    diagonal = _sides(_hull(first, second)) ** 2
    return iou(first, second) - _quotient(between.sum(-1), diagonal.sum(-1))


def ciou(first: Boxes, second: Boxes) -> Measure:
    """Return the CIoU of boxes."""
    v = 4 / np.pi**2 * (_angle(first) - _angle(second)) ** 2
    share = iou(first, second)
    weight = jax.lax.stop_gradient(_quotient(v, 1 - share + v))
    return diou(first, second) - weight * v


def _overlap(first: Boxes, second: Boxes) -> tuple[Measure, Measure]:
    """Return intersection over union, and the union."""
    first, second = jnp.asarray(first), jnp.asarray(second)
    both = _intersection(first, second)
    union = _area(first) + _area(second) - both
    return _quotient(both, union), union


def _intersection(first: Array, second: Array) -> Measure:
    low = jnp.maximum(first[..., :2], second[..., :2])
    high = jnp.minimum(first[..., 2:], second[..., 2:])
    return _area(jnp.concatenate([low, high], axis=-1))


def _sides(boxes: Array) -> Real[Array, "*n 2"]:
    return jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0)


def _area(boxes: Array) -> Measure:
    height_width = _sides(boxes)
    return height_width[..., 0] * height_width[..., 1]


def _hull(first: Boxes, second: Boxes) -> Real[Array, "*n 4"]:
    """Return the smallest boxes around both."""
    first, second = jnp.asarray(first), jnp.asarray(second)
    low = jnp.minimum(first[..., :2], second[..., :2])
    return jnp.concatenate([low, jnp.maximum(first[..., 2:], second[..., 2:])], axis=-1)


def _center(boxes: Array) -> Float[Array, "*n 2"]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _angle(boxes: Boxes) -> Measure:
    """Return atan(width / height); 0 for an empty box."""
    height, width = jnp.moveaxis(_sides(jnp.asarray(boxes)), -1, 0)
    there = (height > 0) & (width > 0)
    return jnp.where(there, jnp.arctan2(width, jnp.where(there, height, 1)), 0.0)


def _quotient(above: Array, below: Array) -> Measure:
    """Return the quotient, or 0 where the divisor is 0."""
    there = below > 0
    return jnp.where(there, above / jnp.where(there, below, 1), 0.0)
