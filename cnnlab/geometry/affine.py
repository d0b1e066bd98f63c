"""Affine maps of the plane: a 2 x 3 matrix takes (y, x, 1) to (y, x)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Real

Matrix = Float[Array | np.ndarray, "2 3"]
Vectors = Real[Array | np.ndarray, "*n 2"]


def namespace(*arrays: Any) -> Any:
    """Return `jax.numpy` if one of the arrays is JAX's, else `numpy`."""
    others = [x for x in arrays if not isinstance(x, np.ndarray)]
    return others[0].__array_namespace__() if others else np


def scale_shift(factor: Any, shift: Any, *, xp: Any = np) -> Matrix:
    """Return the map of a point p to factor * p + shift; both are a pair (y, x)."""
    zero = xp.zeros(())
    rows = [[factor[0], zero, shift[0]], [zero, factor[1], shift[1]]]
    return xp.stack([xp.stack([xp.asarray(x, float) for x in row]) for row in rows])


def from_center(matrix: Matrix, size: Sequence[int]) -> Matrix:
    """Return a map of points counted from the center of a picture of `size` (height, width).

    Both the given map's points and values are counted from the center, the result's from the
    corner.
    """
    center = namespace(matrix).asarray([size[0] / 2, size[1] / 2])
    shift = matrix[:, 2] + center - linear(matrix, center)
    return namespace(matrix).concatenate([matrix[:, :2], shift[:, None]], axis=1)


def linear(
    matrix: Float[Array | np.ndarray, "2 _"], vectors: Vectors
) -> Real[Array | np.ndarray, "*n 2"]:
    """Map vectors: differences of points, which no shift changes."""
    # A sum, not a matrix product, which accelerators would take in bfloat16.
    return (matrix[:, :2] * vectors[..., None, :]).sum(-1)


def transform(matrix: Matrix, points: Vectors) -> Real[Array | np.ndarray, "*n 2"]:
    """Map points."""
    return linear(matrix, points) + matrix[:, 2]


def determinant(matrix: Matrix) -> Float[Any, ""]:
    """Return the factor by which areas grow; negative for a map that mirrors."""
    return matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]


def inverse(matrix: Matrix) -> Matrix:
    """Return the map back; the given one must not flatten the plane."""
    xp, (a, b), (c, d) = namespace(matrix), matrix[0, :2], matrix[1, :2]
    back = xp.stack([xp.stack([d, -b]), xp.stack([-c, a])]) / determinant(matrix)
    shift = -linear(back, matrix[:, 2])
    return xp.concatenate([back, shift[:, None]], axis=1)


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the map of a point to `outer` of its `inner`."""
    xp = namespace(outer, inner)
    parts = (outer[:, :2, None] * inner[None, :, :2]).sum(1)
    return xp.concatenate([parts, transform(outer, inner[:, 2])[:, None]], axis=1)


def inside(points: Vectors, size: Sequence[int]) -> Bool[Array | np.ndarray, "*n"]:
    """Return which points lie in a picture of `size` (height, width), its border included."""
    y, x = points[..., 0], points[..., 1]
    return (y >= 0) & (y <= size[0]) & (x >= 0) & (x <= size[1])
