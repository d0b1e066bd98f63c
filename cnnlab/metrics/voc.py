"""PASCAL VOC's mean average precision (Everingham et al. 2010, section 4.2, and the devkits).

A detection takes the object of its class that it overlaps most. It is right if that overlap is
above one half and the object is not taken yet; a second hit is wrong; if the object is difficult it
counts neither way. Widths are x1 - x0 + 1, as corners are pixels inside (`inclusive`).

    VOC 2007         mean of the best precision from each of the recalls 0, 0.1, ..., 1 on
    VOC 2010 to 12   area under the best precision from each recall on
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from cnnlab.geometry.iou import pairwise_iou


class Image(NamedTuple):
    """Detections and objects of an image; boxes are [y0, x0, y1, x1].

    Attributes:
        found: boxes of the detections.
        score: of the detections.
        found_class: of the detections.
        true: boxes of the objects.
        true_class: of the objects.
        difficult: objects that count neither way.
    """

    found: Real[np.ndarray, "d 4"]
    score: Real[np.ndarray, "d"]
    found_class: Int[np.ndarray, "d"]
    true: Real[np.ndarray, "g 4"]
    true_class: Int[np.ndarray, "g"]
    difficult: Bool[np.ndarray, "g"]


def average_precision(
    images: Iterable[Image],
    *,
    threshold: float = 0.5,
    eleven_points: bool = False,
    inclusive: bool = True,
) -> dict[int, float]:
    """Return the average precision of every class that has objects, NaN if all are difficult.

    Args:
        images: of the whole set.
        threshold: overlap above which a detection is right.
        eleven_points: the rule of 2007.
        inclusive: whether the corners y1 and x1 are pixels of the box.
    """
    images = list(images)
    classes = np.unique(np.concatenate([x.true_class for x in images] or [np.zeros(0, int)]))
    result = {}
    for number in classes.tolist():
        matched = [_match(x, number, threshold, float(inclusive)) for x in images]
        objects = sum(count for _, _, count in matched)
        order = np.argsort(-np.concatenate([s for s, _, _ in matched]), kind="stable")
        verdict = np.concatenate([v for _, v, _ in matched])[order]
        hits, misses = np.cumsum(verdict == 1), np.cumsum(verdict == -1)
        if not objects:
            result[number] = np.nan
            continue
        recall = hits / objects
        precision = hits / np.maximum(hits + misses, np.finfo(np.float64).eps)
        rule = _eleven_points if eleven_points else _area
        result[number] = rule(recall, precision)
    return result


def _match(
    image: Image, number: int, threshold: float, pixel: float
) -> tuple[Float[np.ndarray, "d"], Int[np.ndarray, "d"], int]:
    """Return scores, verdicts (1 right, -1 wrong, 0 neither), and objects that count."""
    chosen = image.found_class == number
    true, difficult = (x[image.true_class == number] for x in (image.true, image.difficult))
    order = np.argsort(-image.score[chosen], kind="stable")
    score, found = image.score[chosen][order], image.found[chosen][order]
    # Corners of pixels inside are a pixel short of the ends.
    ends = np.array([0.0, 0.0, pixel, pixel])
    overlap = pairwise_iou(found + ends, true + ends)
    taken = np.zeros(len(true), bool)
    verdict = np.full(len(found), -1)
    for d, row in enumerate(overlap if len(true) else ()):
        g = int(np.argmax(row))
        if row[g] <= threshold:
            continue
        if difficult[g]:
            verdict[d] = 0
        elif not taken[g]:
            verdict[d], taken[g] = 1, True
    return score.astype(float), verdict, int((~difficult).sum())


def _eleven_points(recall: np.ndarray, precision: np.ndarray) -> float:
    at = np.arange(11) / 10
    return float(np.mean([precision[recall >= r].max(initial=0.0) for r in at]))


def _area(recall: np.ndarray, precision: np.ndarray) -> float:
    steps = np.diff(np.concatenate([[0.0], recall]))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((steps * best).sum())
