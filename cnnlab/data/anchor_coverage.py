"""Anchor coverage: the best IoU of every object of a data set with the anchors of a detector."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from cnnlab.data.preprocess.decode import UNREADABLE
from cnnlab.data.sources.info import Source
from cnnlab.errors import UserError
from cnnlab.geometry.anchors import Number, cell_anchors, grid_anchors
from cnnlab.geometry.iou import pairwise_iou

# Images, drawn at random, that stand for a larger set.
IMAGES = 500


class Coverage(NamedTuple):
    """The objects of some images, and the best IoU of each with an anchor."""

    images: int
    boxes: Float[np.ndarray, "n 4"]
    best: Float[np.ndarray, "n"]

    def missed(self, threshold: float) -> Float[np.ndarray, "m 4"]:
        """Return the boxes that no anchor overlaps by the threshold."""
        return self.boxes[self.best < threshold]


def coverage(
    source: Source, sizes: Sequence[Number], ratios: Sequence[Number], stride: Number
) -> Coverage:
    """Return the best IoU of every object with the anchors at its image's own size.

    Args:
        source: with keys image and boxes.
        sizes: roots of the anchors' areas, in pixels.
        ratios: heights divided by widths.
        stride: pixels from one place of anchors to the next.

    Raises:
        UserError: the source has no boxes, or a number is not above 0.
    """
    if not {"image", "boxes"} <= source.info.spec.keys():
        raise UserError(f"'{source.info.name}' has no boxes that anchors could reach")
    if min(*sizes, *ratios, stride) <= 0:
        raise UserError("anchors need sizes, ratios and a stride above 0")
    cell = cell_anchors(sizes, ratios)
    rows = np.random.default_rng(0).permutation(len(source))[:IMAGES]
    boxes, best = [np.zeros((0, 4))], [np.zeros(0)]
    for row in rows:
        try:
            example = source[int(row)]
        except UNREADABLE:
            continue
        grid = [-(-side // int(stride)) for side in example["image"].shape[:2]]
        overlap = pairwise_iou(example["boxes"], grid_anchors(cell, grid, (stride, stride)))
        boxes.append(example["boxes"])
        best.append(np.asarray(overlap).max(axis=1, initial=0.0))
    return Coverage(len(rows), np.concatenate(boxes), np.concatenate(best))
