"""`predictions.json`: detections in COCO's result format, which pycocotools and servers read."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Real

from cnnlab.geometry import boxes, run_length
from cnnlab.utils.files import write_json

Masks = Bool[np.ndarray, "_k _h _w"] | Real[np.ndarray, "_k _h _w"]


def write_predictions(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    *,
    image_ids: Int[np.ndarray, "n"],
    category_ids: Sequence[int],
    masks: Iterable[Masks] | None = None,
) -> int:
    """Write the detections of a split, best first in each image; return how many there are.

    Of no detections at all the file is an empty list, which pycocotools' `loadRes` cannot load.

    Args:
        path: of the file.
        outputs: gathered rows of `cnnlab.metrics.detection.rows`, boxes and keypoints in pixels of
            the original images.
        image_ids: of the images, a row of `outputs` each.
        category_ids: the id of every class, as the `category_ids` of a `coco:` source.
        masks: of each image, those of all rows of its detections, at its original size.
    """
    rows: list[dict[str, Any]] = []
    drawn = itertools.repeat(None) if masks is None else masks
    for i, (image_id, of_image) in enumerate(zip(image_ids.tolist(), drawn, strict=False)):
        found = np.flatnonzero(outputs["found_valid"][i])
        scores, shown = outputs["found_scores"][i], _numbers(outputs["found_scores"][i])
        xywh = np.asarray(boxes.to_xywh(outputs["found_boxes"][i]))
        for k in found[np.argsort(-scores[found], kind="stable")].tolist():
            row = {
                "image_id": image_id,
                "category_id": category_ids[outputs["found_classes"][i, k]],
                "bbox": _numbers(xywh[k]),
                "score": shown[k],
            }
            if "found_keypoints" in outputs:
                points = outputs["found_keypoints"][i, k]
                marks = np.concatenate([points[:, ::-1], np.ones((len(points), 1))], axis=1)
                row["keypoints"] = _numbers(marks.ravel())
            if of_image is not None:
                mask = np.asarray(of_image[k] != 0, np.uint8)
                counts = run_length.to_text(run_length.encode(mask))
                row["segmentation"] = {"size": list(mask.shape), "counts": counts}
            rows.append(row)
    write_json(path, rows, sort_keys=False)
    return len(rows)


def _numbers(values: np.ndarray) -> list[float]:
    """Return numbers in as few digits as tell float32 apart, so that their order stays."""
    return [float(str(x)) for x in values.astype(np.float32)]
