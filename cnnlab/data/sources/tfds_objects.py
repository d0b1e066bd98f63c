"""Objects of TFDS's detection sets, such as coco and voc, as the other sources of boxes have them.

TFDS stores boxes as shares of the image under `objects/bbox`. Beside what it stores, examples get

    boxes      float32 (n, 4), [y0, x0, y1, x1] in pixels
    classes    int32 (n,), and where the set has them
    area       float32 (n,)
    crowd, difficult    bool (n,)
    image_id   int32

Its `voc` leaves corners counted from 1, both inside: y0 and x0 become one less, as `voc:` has it.
Boxes without a pixel are left out of these keys.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

BOXES = "objects/bbox"
# Key here, key there, type.
ROWS = (
    ("classes", "objects/label", "int32"),
    ("area", "objects/area", "float32"),
    ("crowd", "objects/is_crowd", "bool"),
    ("difficult", "objects/is_difficult", "bool"),
)
IMAGE_ID = "image/id"


def has_boxes(features: Any) -> bool:
    """Return whether a set has boxes of objects, and images that they are of."""
    there = dict(features.items())
    inner: Any = getattr(there.get("objects"), "feature", None)
    parts = dict(inner.items()) if hasattr(inner, "items") else {}
    return "image" in there and isinstance(parts.get("bbox"), tfds.features.BBoxFeature)


def spec_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of the keys here, given that of those there."""
    found: dict[str, Any] = {"boxes": ((None, 4), "float32")}
    found |= {key: ((None,), dtype) for key, stored, dtype in ROWS if stored in spec}
    return found | ({"image_id": ((), "int32")} if IMAGE_ID in spec else {})


def read(example: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Return the keys here of an example of the set `name`."""
    height, width = example["image"].shape[:2]
    boxes = example[BOXES] * np.array([height, width, height, width], np.float32)
    if name == "voc":
        boxes = boxes - np.array([1, 1, 0, 0], np.float32)
    boxes = boxes.clip(0, [height, width, height, width]).astype(np.float32)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    rows = {key: example[k][kept].astype(dtype) for key, k, dtype in ROWS if k in example}
    number = {"image_id": example[IMAGE_ID].astype(np.int32)} if IMAGE_ID in example else {}
    return {"boxes": boxes[kept], **rows, **number}
