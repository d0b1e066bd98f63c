"""COCO's average precision and recall, of boxes, masks or keypoints (Lin et al. 2014).

A detection is right if it overlaps an object of its class by at least a threshold and no better
scored one has it: AP is the mean of the precision at 101 recalls, over classes and thresholds. The
numbers are those of pycocotools (`COCOeval.summarize`), but for what there is nothing of: it is
NaN, and no part of a mean, where that says -1.

The rules that make the last digits:

- equal scores keep their order; an image has at most `limits[-1]` detections, for all numbers
  (pycocotools' first is always of 100, and -1 where 100 is not among the limits);
- a precision is right / (right + wrong + 2.2e-16), so that 0 of 0 is 0;
- crowds, and objects outside the range of areas, are ignored: a detection that they alone match
  counts neither way, a crowd as often as there are; objects that count are matched first;
- an unmatched detection counts only if its own area is in the range;
- of a crowd the overlap is the share of the detection inside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from cnnlab.metrics.metric import mean

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
Bounds = Sequence[int | float]
# Square pixels.
AREAS = {"": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
LIMITS = (1, 10, 100)
KEYPOINT_LIMITS = (20,)
# Deviations of people's marks in units of the object's size, from the nose to the ankles.
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000


class Image(NamedTuple):
    """The detections and objects of an image; `overlap` is of every detection with every object.

    Attributes:
        overlap: IoU, the share inside of crowds, or OKS of keypoints.
        score: of the detections.
        found_class: of the detections.
        found_area: of the detections in square pixels.
        true_class: of the objects.
        true_area: of the objects, as annotated.
        crowd: whether an object is a group, which may be matched many times.
        ignored: objects that count neither way and are matched once, as those without keypoints.
    """

    overlap: Float[np.ndarray, "d g"]
    score: Real[np.ndarray, "d"]
    found_class: Int[np.ndarray, "d"]
    found_area: Real[np.ndarray, "d"]
    true_class: Int[np.ndarray, "g"]
    true_area: Real[np.ndarray, "g"]
    crowd: Bool[np.ndarray, "g"]
    ignored: Bool[np.ndarray, "g"]


class Matched(NamedTuple):
    """Of the detections of a class in an image, best first: score, right, ignored by threshold."""

    score: Real[np.ndarray, "d"]
    right: Bool[np.ndarray, "t d"]
    ignored: Bool[np.ndarray, "t d"]
    objects: int


def summarize(
    images: Iterable[Image],
    *,
    areas: Mapping[str, Bounds] | None = None,
    limits: Sequence[int] = LIMITS,
) -> dict[str, float]:
    """Return COCO's numbers by name: AP, AP50, AP75, AP_small, ..., AR1, AR10, AR100, AR_small....

    Args:
        images: of the whole set.
        areas: ranges of areas by name, "" for all; COCO's by default.
        limits: detections of an image that count, the last for all numbers but those named by it.
    """
    areas, images = areas or AREAS, list(images)
    classes = np.unique(np.concatenate([x.true_class for x in images] or [np.zeros(0, int)]))
    precision: dict[str, np.ndarray] = {}
    recall: dict[tuple[str, int], np.ndarray] = {}
    for name, bounds in areas.items():
        matched = [_match_all(images, c, bounds, limits[-1]) for c in classes.tolist()]
        for limit in limits if not name else limits[-1:]:
            of_class = [_accumulate(found, limit) for found in matched]
            recall[name, limit] = np.array([r for _, r in of_class]).reshape(-1, len(THRESHOLDS))
            if limit == limits[-1]:
                shape = (-1, len(THRESHOLDS), len(RECALLS))
                precision[name] = np.array([p for p, _ in of_class]).reshape(shape)
    numbers = {"AP": _mean(precision[""])}
    for threshold in (0.5, 0.75):
        at = np.isclose(THRESHOLDS, threshold)
        numbers[f"AP{100 * threshold:.0f}"] = _mean(precision[""][:, at])
    numbers |= {f"AP_{name}": _mean(precision[name]) for name in areas if name}
    numbers |= {f"AR{limit}": _mean(recall["", limit]) for limit in limits}
    return numbers | {f"AR_{name}": _mean(recall[name, limits[-1]]) for name in areas if name}


def _mean(values: np.ndarray) -> float:
    return mean(values[~np.isnan(values)])


def per_class(images: Iterable[Image], *, limit: int = LIMITS[-1]) -> dict[int, float]:
    """Return the AP of every class that there is an object of, NaN if all are ignored."""
    images = list(images)
    classes = np.unique(np.concatenate([x.true_class for x in images] or [np.zeros(0, int)]))
    return {
        c: _mean(_accumulate(_match_all(images, c, AREAS[""], limit), limit)[0])
        for c in classes.tolist()
    }


def _match_all(images: Sequence[Image], number: int, bounds: Bounds, most: int) -> list[Matched]:
    return [m for x in images if (m := _match(x, number, bounds, most)) is not None]


def _accumulate(
    matched: Sequence[Matched], limit: int
) -> tuple[Float[np.ndarray, "t r"], Float[np.ndarray, "t"]]:
    """Return precision at the recalls and the largest recall, NaN for a class without objects."""
    objects = sum(m.objects for m in matched)
    shape = (len(THRESHOLDS), len(RECALLS))
    if not objects:
        return np.full(shape, np.nan), np.full(shape[0], np.nan)
    score = np.concatenate([m.score[:limit] for m in matched])
    order = np.argsort(-score, kind="stable")
    right = np.concatenate([m.right[:, :limit] for m in matched], axis=1)[:, order]
    counts = ~np.concatenate([m.ignored[:, :limit] for m in matched], axis=1)[:, order]
    hits = np.cumsum(right & counts, axis=1, dtype=float)
    misses = np.cumsum(~right & counts, axis=1, dtype=float)
    precision, recall = np.zeros(shape), np.zeros(shape[0])
    for t, (hit, miss) in enumerate(zip(hits, misses, strict=True)):
        if not len(hit):
            continue
        reached = hit / objects
        recall[t] = reached[-1]
        share = hit / (hit + miss + np.spacing(1))
        # The best precision at this recall or a larger one.
        share = np.maximum.accumulate(share[::-1])[::-1]
        place = np.searchsorted(reached, RECALLS, side="left")
        there = place < len(share)
        precision[t, there] = share[place[there]]
    return precision, recall


def _match(image: Image, number: int, bounds: Bounds, most: int) -> Matched | None:
    """Match the best detections of a class with its objects; None where there is neither."""
    found = np.flatnonzero(image.found_class == number)
    true = np.flatnonzero(image.true_class == number)
    if not len(found) and not len(true):
        return None
    found = found[np.argsort(-image.score[found], kind="stable")][:most]
    outside = (image.true_area < bounds[0]) | (image.true_area > bounds[1])
    skip = (image.crowd | image.ignored | outside)[true]
    order = np.argsort(skip, kind="stable")
    true, skip = true[order], skip[order]
    overlap, crowd = image.overlap[np.ix_(found, true)], image.crowd[true]
    thresholds = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    right, ignored = np.zeros((2, len(THRESHOLDS), len(found)), bool)
    taken = np.zeros((len(THRESHOLDS), len(true)), bool)
    for d in np.flatnonzero((overlap >= thresholds[0]).any(axis=1)):
        candidates = (overlap[d] >= thresholds) & (~taken | crowd)
        # Of those that count, if one will do.
        count = candidates & ~skip
        candidates = np.where(count.any(axis=1, keepdims=True), count, candidates)
        # Of equal overlaps the last.
        last_first = np.where(candidates, overlap[d], -1.0)[:, ::-1]
        g = len(true) - 1 - last_first.argmax(axis=1)
        right[:, d] = hit = candidates.any(axis=1)
        ignored[:, d] = hit & skip[g]
        taken[hit, g[hit]] = True
    area = image.found_area[found]
    ignored |= ~right & ((area < bounds[0]) | (area > bounds[1]))
    return Matched(image.score[found], right, ignored, int((~skip).sum()))


def keypoint_similarity(
    found: Float[np.ndarray, "d k 2"],
    true: Float[np.ndarray, "g k 2"],
    visible: Bool[np.ndarray, "g k"],
    area: Real[np.ndarray, "g"],
    box: Real[np.ndarray, "g 4"],
    sigmas: Float[np.ndarray, "k"] = SIGMAS,
) -> Float[np.ndarray, "d g"]:
    """Return OKS: the mean over keypoints of exp(-d^2 / (2 s^2 k^2)), s^2 the area, k = 2 sigma.

    Of an object without visible keypoints, the distance is that of each found keypoint from its box
    enlarged by its own size on every side.
    """
    variance = (2 * sigmas) ** 2
    offset = found[:, None] - true[None]
    size = box[:, 2:] - box[:, :2]
    low, high = (x[:, None] for x in (box[:, :2] - size, box[:, 2:] + size))
    beyond = (low - found[:, None]).clip(0) + (found[:, None] - high).clip(0)
    some = np.asarray(visible.any(axis=1))
    offset = np.where(some[:, None, None], offset, beyond)
    error = (offset**2).sum(-1) / variance / (area[:, None] + np.spacing(1)) / 2
    counted = visible | ~some[:, None]
    return (np.exp(-error) * counted).sum(-1) / counted.sum(-1)
