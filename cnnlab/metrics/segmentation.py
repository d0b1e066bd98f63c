"""Measures of label maps from the matrix of pixels by true and predicted class.

Long, Shelhamer & Darrell 2015 (FCN), section 5, with n_ij pixels of class i predicted as j and t_i
pixels of class i:

    pixel_accuracy   sum n_ii / sum t_i
    mean_accuracy    mean over classes of n_ii / t_i
    mean_iou         mean over classes of n_ii / (t_i + sum_j n_ji - n_ii)
    fw_iou           the same weighted by t_i

A class without pixels is no part of a mean. Of a class that is predicted but is not there, the two
conventions differ: `mean_iou` counts classes that are there (Detectron2), `mean_iou_predicted`
those with a 0 too (FCN's score.py, np.nanmean).
"""

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from cnnlab.metrics.metric import mean, ratio

IGNORED = 255


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


def summarize(matrix: Int[np.ndarray, "k k"]) -> dict[str, float]:
    """Return the measures of the module's docstring by name, NaN where there is no pixel."""
    hits, there, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    iou = iou_of_classes(matrix)
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


def iou_of_classes(matrix: Int[np.ndarray, "k k"]) -> Float[np.ndarray, "k"]:
    """Return the IoU of every class, NaN for one that is neither there nor predicted."""
    hits = np.diag(matrix)
    return ratio(hits, matrix.sum(1) + matrix.sum(0) - hits)


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
    distance = max(1, round(share * np.hypot(*mask.shape)))
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)[1:-1, 1:-1]
    return mask & (inner == 0)
