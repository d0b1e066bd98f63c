"""Dense maps, one value a pixel, moved by taking the nearest pixel."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Real, Shaped

from cnnlab.geometry import affine

# Pixels; so near to the border of two pixels the later one is taken, whatever the rounding.
TIE = 1e-3


def sample(
    values: Shaped[Array | np.ndarray, "..."],
    backward: affine.Matrix,
    size: Sequence[int],
    *,
    fill: int = 0,
    axis: int = 0,
) -> Shaped[Array | np.ndarray, "..."]:
    """Take for each pixel of the result the value of the nearest pixel.

    Args:
        values: height and width are its axes `axis` and `axis` + 1.
        backward: maps points of the result to points of `values`.
        size: height and width of the result.
        fill: value of what comes from outside.
        axis: of the height.
    """
    xp = affine.namespace(values, backward)
    y, x = xp.arange(size[0])[:, None] + 0.5, xp.arange(size[1]) + 0.5
    places = [xp.floor(row[0] * y + row[1] * x + row[2] + TIE).astype(int) for row in backward]
    lengths = values.shape[axis : axis + 2]
    inside = [(p >= 0) & (p < n) for p, n in zip(places, lengths, strict=True)]
    rows, columns = (p.clip(0, n - 1) for p, n in zip(places, lengths, strict=True))
    found = values[(*[slice(None)] * axis, rows, columns)]
    known = (inside[0] & inside[1]).reshape(*size, *[1] * (values.ndim - axis - 2))
    return xp.where(known, found, xp.asarray(fill, values.dtype))


def sample_vectors(
    values: Real[Array | np.ndarray, "h w c"], backward: affine.Matrix, size: Sequence[int]
) -> Real[Array | np.ndarray, "h2 w2 c"]:
    """Move a field of vectors, whose first two channels are (dy, dx), and map the vectors too."""
    xp = affine.namespace(values, backward)
    found = sample(values, backward, size)
    vectors = affine.linear(affine.inverse(backward), found[..., :2])
    return xp.concatenate([vectors, found[..., 2:]], axis=-1).astype(values.dtype)
