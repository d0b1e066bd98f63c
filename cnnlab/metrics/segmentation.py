"""Measures of label maps from the matrix of pixels by true and predicted class.

Long, Shelhamer & Darrell 2015 (FCN), section 5, with n_ij pixels of class i predicted as j and t_i
pixels of class i:

    pixel_accuracy   sum n_ii / sum t_i
    mean_accuracy    mean over classes of n_ii / t_i
    mean_iou         mean over classes of n_ii / (t_i + sum_j n_ji - n_ii)
    fw_iou           the same weighted by t_i

A class without pixels is no part of a mean. Of a class that is predicted but is not there, the two
conventions differ: `mean_iou` counts classes that are there (Detectron2), `mean_iou_predicted`
those with a 0 too (FCN's score.py, np.nanmean). A pixel for which nothing is predicted (NaN) is one
of its class that was missed.

`measures` are these during training, `BoundaryIoU` that of contours; whole numbers are added up, so
that neither batches nor devices matter.
"""

from collections.abc import Iterable
from typing import Any

import cv2
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer

from cnnlab.losses.reduce import labeled
from cnnlab.metrics.classification import Confusion
from cnnlab.metrics.metric import Metric, mean, ratio

IGNORED = 255
MEASURES = ("pixel_accuracy", "mean_accuracy", "mean_iou", "mean_iou_predicted", "fw_iou")


def confusion(
    true: Integer[np.ndarray, "*b h w"],
    predicted: Integer[np.ndarray, "*b h w"],
    classes: int,
    ignored: int = IGNORED,
) -> Int[np.ndarray, "k k"]:
    """Return the pixels of each true class (rows) by their predicted class.

    Args:
        true: label maps.
        predicted: label maps of classes below `classes`.
        classes: number of classes.
        ignored: label of pixels that do not count.
    """
    counts = true != ignored
    pairs = true[counts].astype(np.int64) * classes + predicted[counts]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def summarize(
    matrix: Int[np.ndarray, "k k"], missed: Int[np.ndarray, "k"] | int = 0
) -> dict[str, float]:
    """Return the measures of the module's docstring by name, NaN where there is no pixel.

    Args:
        matrix: pixels by true and predicted class.
        missed: pixels of each true class for which nothing is predicted.
    """
    hits, there, predicted = np.diag(matrix), matrix.sum(1) + missed, matrix.sum(0)
    iou = iou_of_classes(matrix, missed)
    accuracy = ratio(hits, there)
    total = there.sum()
    present = there > 0
    return {
        "pixel_accuracy": float(ratio(hits.sum(), total)),
        "mean_accuracy": mean(accuracy[present]),
        "mean_iou": mean(iou[present]),
        "mean_iou_predicted": mean(iou[present | (predicted > 0)]),
        "fw_iou": float(ratio((there * np.nan_to_num(iou)).sum(), total)),
    }


def iou_of_classes(
    matrix: Int[np.ndarray, "k k"], missed: Int[np.ndarray, "k"] | int = 0
) -> Float[np.ndarray, "k"]:
    """Return the IoU of every class, NaN for one that is neither there nor predicted."""
    hits = np.diag(matrix)
    return ratio(hits, matrix.sum(1) + missed + matrix.sum(0) - hits)


@flax.struct.dataclass
class Measure(Confusion):
    """A measure of label maps, of the counts of pixels.

    Attributes:
        name: one of `MEASURES`.
    """

    name: str = flax.struct.field(pytree_node=False, default="mean_iou")

    @property
    def count(self) -> Any:
        """Return the number of pixels; without any there is no measure."""
        return np.sum(self.counts) + np.sum(self.invalid)

    def compute(self) -> Any:
        """Return the measure, from 0 to 1."""
        return summarize(np.asarray(self.counts), np.asarray(self.invalid))[self.name]


def measures(
    logits: Float[Array, "b h w k"],
    labels: Integer[Array, "b h w"],
    valid: Bool[Array, "..."] | None = None,
) -> dict[str, Measure]:
    """Return `MEASURES` of a batch by name; labels that are no class, as 255, count nowhere."""
    found = Confusion.of(logits, labels, valid)
    return {name: Measure(found.counts, found.invalid, name) for name in MEASURES}


@flax.struct.dataclass
class BoundaryIoU(Metric):
    """Mean over classes of the IoU of their boundaries, of the classes that are there.

    Attributes:
        both, either, there: int32 [k], pixels in both boundaries, in one, and in the true one.
    """

    both: Any
    either: Any
    there: Any

    @classmethod
    def of(
        cls,
        predicted: Integer[Array, "b h w"],
        labels: Integer[Array, "b h w"],
        classes: int,
        valid: Bool[Array, "..."] | None = None,
        *,
        share: float = 0.02,
    ) -> "BoundaryIoU":
        """Count a batch; see `boundary_iou`. Pixels of label 255 are of no class in both."""
        kept = labeled(labels, IGNORED, valid)

        def counts(number: Array) -> tuple[Array, Array, Array]:
            true, found = (_rim((x == number) & kept, share) for x in (labels, predicted))
            return (true & found).sum(), (true | found).sum(), true.sum()

        return cls(*jax.lax.map(counts, jnp.arange(classes)))

    @property
    def count(self) -> Any:
        """Return the number of pixels in true boundaries; without any there is no measure."""
        return np.sum(self.there)

    def compute(self) -> float:
        """Return the mean, from 0 to 1."""
        return mean(ratio(self.both, self.either)[np.asarray(self.there) > 0])


def _rim(mask: Bool[Array, "b h w"], share: float) -> Bool[Array, "b h w"]:
    """Return the pixels near the contours of masks, as `boundary` does."""
    width = _width(mask.shape[1:], share)
    inner = jnp.pad(mask, ((0, 0), (width, width), (width, width)))
    for window in ((1, 2 * width + 1, 1), (1, 1, 2 * width + 1)):
        inner = jax.lax.reduce_window(inner, True, jax.lax.bitwise_and, window, (1, 1, 1), "VALID")
    return mask & ~inner


def boundary_iou(
    pairs: Iterable[tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]], share: float = 0.02
) -> float:
    """Return the IoU of masks' boundaries over all pairs of a true and a predicted mask.

    Cheng et al. 2021, equation 2: of each mask only the pixels no farther from its contour than
    `share` of the image's diagonal count.
    """
    both = either = 0
    for masks in pairs:
        true, predicted = (boundary(mask, share) for mask in masks)
        both += int((true & predicted).sum())
        either += int((true | predicted).sum())
    return float(ratio(both, either))


def boundary(mask: Bool[np.ndarray, "h w"], share: float = 0.02) -> Bool[np.ndarray, "h w"]:
    """Return the pixels of a mask near its contour; the image's border is a contour too."""
    distance = _width(mask.shape, share)
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)[1:-1, 1:-1]
    return mask & (inner == 0)


def _width(shape: tuple[int, ...], share: float) -> int:
    return max(1, round(share * float(np.hypot(shape[0], shape[1]))))
