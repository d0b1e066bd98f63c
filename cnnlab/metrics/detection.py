"""Detections of a whole evaluation judged: COCO's and VOC's numbers, and recall of proposals.

An objective's `predict` returns `rows(...)`, and its `summarize` makes numbers of them, which are
then as good for `checkpoint.best` as others:

    def predict(self, output, batch):
        return detection.rows(batch, *output)

    def summarize(self, outputs, source):
        return detection.box_numbers(outputs)

An evaluation gathers the rows of all devices and processes, each example once. The numbers are
computed from these in double precision, and depend on no number of devices.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from cnnlab.geometry import affine
from cnnlab.geometry.iou import pairwise_ioa, pairwise_iou
from cnnlab.geometry.original import boxes_in_original
from cnnlab.metrics import coco, localization, voc
from cnnlab.metrics.metric import mean, ratio

# What is read of the objects where a batch has it, one row an object.
OBJECTS = ("boxes", "classes", "area", "crowd", "difficult", "keypoints", "objects_valid")
Outputs = Mapping[str, Any]


def rows(
    batch: Mapping[str, Any],
    boxes: Float[Array, "b k 4"],
    scores: Float[Array, "b k"],
    classes: Int[Array, "b k"],
    valid: Bool[Array, "b k"],
    *,
    masks: Real[Array, "b k h w"] | None = None,
    keypoints: Float[Array, "b k p 2"] | None = None,
) -> dict[str, Array]:
    """Return what is needed of detections and of the objects of a batch, [b, ...] by name.

    Boxes and keypoints of both are taken to the original images by the `to_original` of a batch
    that `pad_image` made, so that areas are as annotated. Masks stay.

    Args:
        batch: with those of the keys `OBJECTS` that there are, padded to one number of objects;
            with `masks` the objects' as well. `image_id` is kept, for a file of results,
            and `label`, for the error of localization.
        boxes: [y0, x0, y1, x1] in pixels, as the batch has them.
        scores: of the detections.
        classes: of the detections, counted as the batch does.
        valid: which rows are detections.
        masks: of the detections, 0 or 1 in each pixel. Only areas of intersections are kept.
        keypoints: of the detections, (y, x).
    """
    exact = {"found_boxes": boxes, "found_scores": scores, "found_keypoints": keypoints}
    # Half precision is no type of numpy's, and tells few pixels apart.
    found = {key: x.astype(jnp.float32) for key, x in exact.items() if x is not None}
    found |= {"found_classes": classes, "found_valid": valid}
    found |= {key: batch[key] for key in (*OBJECTS, "image_id", "label") if key in batch}
    if "to_original" in batch:
        to, size = batch["to_original"], batch["original_size"]
        for key in {"found_boxes", "boxes"} & found.keys():
            found[key] = jnp.asarray(jax.vmap(boxes_in_original)(found[key], to, size))
        for key in {"found_keypoints", "keypoints"} & found.keys():
            found[key] = jax.vmap(_points_in_original)(found[key], to)
    if masks is not None:
        pair = [jnp.asarray(x != 0, jnp.float32) for x in (masks, batch["masks"])]
        # Of zeros and ones, exact up to 2^24 pixels.
        both = jnp.einsum("bkhw,bmhw->bkm", *pair, precision=jax.lax.Precision.HIGHEST)
        found["mask_intersections"] = both
        found["found_mask_area"], found["mask_area"] = (x.sum((2, 3)) for x in pair)
    return found


def _points_in_original(
    points: Float[Array, "k p _n"], to_original: Float[Array, "2 3"]
) -> Float[Array, "k p _n"]:
    moved = affine.transform(to_original, points[..., :2])
    return jnp.concatenate([moved, points[..., 2:]], axis=-1)


def box_numbers(
    outputs: Outputs, areas: Mapping[str, coco.Bounds] | None = None
) -> dict[str, float]:
    """Return COCO's twelve numbers of boxes: AP, AP50, ..., AR_large; NaN for what there is not.

    Args:
        outputs: gathered rows.
        areas: ranges of areas by name, "" for all, for images of another size than COCO's.
    """
    return coco.summarize(_coco(outputs, _boxes), areas=areas)


def mask_numbers(
    outputs: Outputs, areas: Mapping[str, coco.Bounds] | None = None
) -> dict[str, float]:
    """Return the same of masks as `mask_AP`, ...; `rows` had masks."""
    return _prefixed("mask", coco.summarize(_coco(outputs, _masks), areas=areas))


def keypoint_numbers(
    outputs: Outputs, sigmas: Float[np.ndarray, "p"] = coco.SIGMAS
) -> dict[str, float]:
    """Return COCO's ten numbers of keypoints as `keypoint_AP`, ...; `rows` had keypoints.

    Args:
        outputs: gathered rows.
        sigmas: one a keypoint; by default of the seventeen of COCO's people.
    """
    areas = {name: bounds for name, bounds in coco.AREAS.items() if name != "small"}
    images = _coco(outputs, lambda one: _keypoints(one, sigmas))
    return _prefixed("keypoint", coco.summarize(images, areas=areas, limits=coco.KEYPOINT_LIMITS))


def voc_numbers(outputs: Outputs, *, threshold: float = 0.5) -> dict[str, float]:
    """Return VOC's mean average precision, `mAP` as from 2010 on and `mAP_2007`.

    Boxes end behind their last pixel here, so that the devkit's + 1 is in them already.
    """
    images = [
        voc.Image(
            *(one[key] for key in ("found_boxes", "found_scores", "found_classes")),
            *(one[key] for key in ("boxes", "classes", "difficult")),
        )
        for one in _images(outputs)
    ]
    numbers = {}
    for name, eleven in (("mAP", False), ("mAP_2007", True)):
        each = voc.average_precision(
            images, threshold=threshold, eleven_points=eleven, inclusive=False
        )
        values = np.array(list(each.values()))
        numbers[name] = mean(values[~np.isnan(values)])
    return numbers


def proposal_numbers(
    outputs: Outputs, counts: Sequence[int] = (10, 100), threshold: float = 0.5
) -> dict[str, float]:
    """Return `recall@N` of the first N proposals, and `mabo` and `best_overlap` of all."""
    images = [(one, np.argsort(-one["found_scores"], kind="stable")) for one in _images(outputs)]
    overlaps = [
        np.asarray(pairwise_iou(one["found_boxes"][order], one["boxes"])) for one, order in images
    ]
    recalls = localization.recall(overlaps, counts, threshold)
    best = localization.mean_best_overlap(overlaps, [one["classes"] for one, _ in images])
    return {**{f"recall@{n}": value for n, value in recalls.items()}, **best}


def localization_numbers(outputs: Outputs, guesses: int = 5) -> dict[str, float]:
    """Return ILSVRC's `localization_error` of the best so many detections of each image."""
    scores = np.where(outputs["found_valid"], outputs["found_scores"], -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :guesses]
    boxes = np.take_along_axis(_wide(outputs["found_boxes"]), order[..., None], axis=1)
    guessed = np.where(outputs["found_valid"], outputs["found_classes"], -1)
    guessed = np.take_along_axis(guessed, order, axis=1)
    overlap = np.asarray(pairwise_iou(boxes, _wide(outputs["boxes"])))
    objects = outputs["label"], outputs["objects_valid"]
    return {"localization_error": localization.localization_error(overlap, guessed, *objects)}


def per_class(outputs: Outputs, names: Sequence[str]) -> dict[str, float | None]:
    """Return the AP of boxes of every class by name, None without objects, for `report`."""
    found = coco.per_class(_coco(outputs, _boxes))
    values = {name: found.get(number, np.nan) for number, name in enumerate(names)}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def _prefixed(prefix: str, numbers: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in numbers.items()}


def _images(outputs: Outputs) -> Iterator[dict[str, np.ndarray]]:
    """Yield the detections and objects of each image without padding, floats as float64."""
    found = [key for key in outputs if key.startswith("found_")]
    true = [key for key in (*OBJECTS, "mask_area") if key in outputs]
    for i, (is_found, is_true) in enumerate(
        zip(outputs["found_valid"], outputs["objects_valid"], strict=True)
    ):
        one = {key: _wide(outputs[key][i][is_found]) for key in found}
        one |= {key: _wide(outputs[key][i][is_true]) for key in true}
        if "mask_intersections" in outputs:
            one["mask_intersections"] = outputs["mask_intersections"][i][np.ix_(is_found, is_true)]
        none = np.zeros(is_true.sum(), bool)
        yield {"crowd": none, "difficult": none, **one}


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) else x


def _coco(
    outputs: Outputs, judge: Callable[[dict[str, np.ndarray]], tuple]
) -> Iterator[coco.Image]:
    """Yield COCO's images; `judge` gives overlaps, areas of both, and objects to ignore."""
    for one in _images(outputs):
        overlap, found_area, true_area, ignored = judge(one)
        yield coco.Image(
            overlap,
            one["found_scores"],
            one["found_classes"],
            found_area,
            one["classes"],
            one.get("area", true_area),
            one["crowd"],
            ignored,
        )


def _boxes(one: dict[str, np.ndarray]) -> tuple:
    pair = one["found_boxes"], one["boxes"]
    overlap = np.where(one["crowd"], pairwise_ioa(*pair), pairwise_iou(*pair))
    areas = [(x[:, 2:] - x[:, :2]).clip(0).prod(axis=1) for x in pair]
    return overlap, *areas, np.zeros(len(pair[1]), bool)


def _masks(one: dict[str, np.ndarray]) -> tuple:
    both, found, true = (one[k] for k in ("mask_intersections", "found_mask_area", "mask_area"))
    union = np.where(one["crowd"], 0, true) - np.where(one["crowd"], 0, both) + found[:, None]
    return np.nan_to_num(ratio(both, union)), found, true, np.zeros(len(true), bool)


def _keypoints(one: dict[str, np.ndarray], sigmas: Float[np.ndarray, "p"]) -> tuple:
    found, true, boxes = one["found_keypoints"], one["keypoints"], one["boxes"]
    visible = true[..., 2] > 0
    area = one.get("area", (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    extent = (found.max(axis=1) - found.min(axis=1)).prod(axis=1)
    overlap = coco.keypoint_similarity(found, true[..., :2], visible, area, boxes, sigmas)
    return overlap, extent, area, ~visible.any(axis=1)
