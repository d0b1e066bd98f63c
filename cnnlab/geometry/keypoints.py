"""Keypoints (y, x, visibility): 0 not labeled or outside, 1 labeled but hidden, 2 visible."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Real

from cnnlab.geometry import affine

Keypoints = Real[Array | np.ndarray, "*n k 3"]


def transform(
    matrix: affine.Matrix,
    points: Keypoints,
    size: Sequence[int],
    pairs: Sequence[Sequence[int]] = (),
) -> Keypoints:
    """Map keypoints to a picture of `size` (height, width); one outside becomes (0, 0, 0).

    `pairs` are the numbers of those that trade places when the map mirrors, as left and right do.
    """
    xp = affine.namespace(matrix, points)
    mapped = affine.transform(matrix, points[..., :2])
    seen = affine.inside(mapped, size) & (points[..., 2] > 0)
    moved = xp.concatenate([mapped, points[..., 2:]], axis=-1).astype(points.dtype)
    moved = xp.where(seen[..., None], moved, xp.zeros((), points.dtype))
    order = np.arange(points.shape[-2])
    for one, other in pairs:
        order[[one, other]] = order[[other, one]]
    return xp.where(affine.determinant(matrix) < 0, moved[..., order, :], moved)
