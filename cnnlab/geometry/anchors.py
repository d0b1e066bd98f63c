"""Anchors: the reference boxes of a proposal network at every place of a feature map.

Ren, He, Girshick & Sun 2015, section 3.1.1: boxes of several sizes and ratios (height / width).
Two conventions are in use. Each rounds the boxes around one place to whole pixels:

    cell_anchors           centered on the corner of the place, side = size; torchvision
    cell_anchors_caffe     centered on the middle of 16 pixels, corners inclusive: py-faster-rcnn.
                           Here y1 and x1 are exclusive, one pixel more.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Number = int | float


def cell_anchors(
    sizes: Sequence[Number], ratios: Sequence[Number], *, rounded: bool = True
) -> Float[np.ndarray, "a 4"]:
    """Return the anchors around (0, 0): for each ratio every size, of area size^2.

    Args:
        sizes: roots of the areas in pixels.
        ratios: heights divided by widths.
        rounded: whether corners are whole pixels (half to even), as in torchvision.
    """
    root = np.sqrt(np.asarray(ratios, np.float64))
    heights = (root[:, None] * np.asarray(sizes)).ravel()
    widths = (np.asarray(sizes) / root[:, None]).ravel()
    boxes = np.stack([-heights, -widths, heights, widths], axis=1) / 2
    return (np.round(boxes) if rounded else boxes).astype(np.float32)


def cell_anchors_caffe(
    base: int = 16, scales: Sequence[Number] = (8, 16, 32), ratios: Sequence[Number] = (0.5, 1, 2)
) -> Float[np.ndarray, "a 4"]:
    """Return py-faster-rcnn's anchors of the first place: for each ratio every scale.

    Args:
        base: side of the box that scales are multiples of, the stride of VGG-16.
        scales: sides in units of `base`.
        ratios: heights divided by widths.
    """
    widths = np.round(np.sqrt(base**2 / np.asarray(ratios, np.float64)))
    heights = np.round(widths * ratios)
    middle = (base - 1) / 2
    halves = np.stack([heights, widths], axis=1)[:, None] * np.asarray(scales)[None, :, None]
    halves = (halves.reshape(-1, 2) - 1) / 2
    return np.concatenate([middle - halves, middle + halves + 1], axis=1).astype(np.float32)


def grid_anchors(
    cell: Float[np.ndarray, "a 4"], grid: Sequence[int], stride: Sequence[Number]
) -> Float[np.ndarray, "n 4"]:
    """Return the anchors of every place, row by row, all of one place together.

    Args:
        cell: the anchors around (0, 0).
        grid: height and width of the feature map.
        stride: pixels from one place to the next, down and to the right.
    """
    y, x = np.meshgrid(
        np.arange(grid[0]) * stride[0], np.arange(grid[1]) * stride[1], indexing="ij"
    )
    places = np.stack([y, x, y, x], axis=-1).reshape(-1, 1, 4)
    return (places + cell).reshape(-1, 4).astype(np.float32)


def pyramid_anchors(
    size: Sequence[int],
    grids: Sequence[Sequence[int]],
    sizes: Sequence[Sequence[Number]],
    ratios: Sequence[Number],
) -> list[Float[np.ndarray, "_n 4"]]:
    """Return torchvision's anchors of every level of a feature pyramid, finest first.

    The stride of a level is the size of the padded picture divided by that of the map and rounded
    down, no power of two where a map was rounded up: 13 places of 800 pixels are 61 apart, not 64.

    Args:
        size: height and width of the padded picture.
        grids: of each level, height and width of its feature map.
        sizes: of each level, the roots of its anchors' areas in pixels.
        ratios: heights divided by widths, on all levels.
    """
    return [
        grid_anchors(cell_anchors(roots, ratios), grid, (size[0] // grid[0], size[1] // grid[1]))
        for grid, roots in zip(grids, sizes, strict=True)
    ]
