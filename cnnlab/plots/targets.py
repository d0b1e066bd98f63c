"""Images drawn with their targets: boxes, masks, label maps, keypoints; maps of numbers beside."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from cnnlab.data.spatial_targets import IGNORED_LABEL, VALID
from cnnlab.plots import style
from cnnlab.plots.dense_colors import depth_colors, flow_colors

# Seven that all can tell apart, and more where there are more classes.
CYCLE = [to_rgb(color) for color in (*style.CYCLE, *colormaps["tab20"](range(20)))]
COLORS = (255 * np.array(CYCLE)).astype(int).tolist()
# Share of a mask's color over the image.
COVER = 0.45


def draw(
    example: Mapping[str, Any], kinds: Mapping[str, str], side: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the image of an example with its targets; the color is that of the class.

    Flow, disparity and depth are pictures of their own beside it, and so is a label map where
    objects are drawn.

    Args:
        example: with "image", uint8 [h, w, 1 or 3], and its targets.
        kinds: of the targets, by key (`cnnlab.data.spatial_targets.KINDS`).
        side: pixels of the longer side of the result.
    """
    image = np.asarray(example["image"])
    scale = side / max(image.shape[:2])
    size = tuple(max(1, round(n * scale)) for n in image.shape[1::-1])
    shown = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    shown = np.array(np.broadcast_to(np.atleast_3d(shown), (*shown.shape[:2], 3)))
    objects = any(kind in DRAWERS for key, kind in kinds.items() if key in example)
    maps = []
    for key, kind in kinds.items():
        value = np.asarray(example.get(key, ()))
        if value.size and (kind in MAPS or (kind == "label_map" and objects)):
            colors = MAPS.get(kind, _label_colors)(value)
            maps.append(cv2.resize(colors, size, interpolation=cv2.INTER_NEAREST))
        elif kind == "label_map" and value.size:
            _cover_labels(shown, value.reshape(value.shape[:2]))
        elif kind in DRAWERS and value.size:
            # Keypoints of the image itself have no axis of objects.
            for number, row in enumerate(value if value.ndim == RANKS[kind] else value[None]):
                if VALID not in example or example[VALID][number]:
                    DRAWERS[kind](shown, row, scale, _color(example, number))
    return _grid([shown, *maps])


def _grid(pictures: list[UInt8[np.ndarray, "h w 3"]]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return pictures of one size in a grid that is about square."""
    height, width = pictures[0].shape[:2]
    columns = max(1, round((len(pictures) * height / width) ** 0.5))
    blank = [np.full_like(pictures[0], 255)] * (-len(pictures) % columns)
    filled = np.stack([*pictures, *blank]).reshape(-1, columns, height, width, 3)
    return filled.swapaxes(1, 2).reshape(-1, columns * width, 3)


def _color(example: Mapping[str, Any], number: int) -> list[int]:
    """Return the color of an object: of its class, or of its number."""
    return COLORS[int(example["classes"][number] if "classes" in example else number) % len(COLORS)]


def _box(shown: np.ndarray, box: np.ndarray, scale: float, color: list[int]) -> None:
    # Corners are between pixels: the line lies on the outer ones.
    y0, x0, y1, x1 = np.round(box * scale).astype(int).tolist()
    cv2.rectangle(shown, (x0, y0), (max(x0, x1 - 1), max(y0, y1 - 1)), color, 1)


def _mask(shown: np.ndarray, mask: np.ndarray, scale: float, color: list[int]) -> None:
    del scale
    inside = cv2.resize(mask.astype(np.uint8), shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    _blend(shown, inside > 0, color)


def _keypoints(shown: np.ndarray, points: np.ndarray, scale: float, color: list[int]) -> None:
    for y, x, visible in points:
        if visible > 0:
            cv2.circle(shown, (round(float(x) * scale), round(float(y) * scale)), 2, color, -1)


def _cover_labels(shown: np.ndarray, labels: np.ndarray) -> None:
    large = cv2.resize(labels.astype(np.int16), shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    for label in np.unique(large).tolist():
        if label not in (0, IGNORED_LABEL):
            _blend(shown, large == label, COLORS[label % len(COLORS)])


def _label_colors(labels: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Return the color of every class, white where none counts."""
    labels = labels.reshape(labels.shape[:2])
    colors = np.array(COLORS, np.uint8)[labels % len(COLORS)]
    return np.where((labels == IGNORED_LABEL)[..., None], np.uint8(255), colors)


def _blend(shown: np.ndarray, inside: np.ndarray, color: list[int]) -> None:
    shown[inside] = ((1 - COVER) * shown[inside] + COVER * np.array(color)).astype(np.uint8)


DRAWERS = {"instance_mask": _mask, "box": _box, "keypoints": _keypoints}
# Axes of the targets of all objects.
RANKS = {"instance_mask": 3, "box": 2, "keypoints": 3}
# What becomes a picture of its own.
MAPS = {
    "flow": flow_colors,
    **dict.fromkeys(("depth", "disparity"), lambda x: depth_colors(x.reshape(x.shape[:2]))),
}
DRAWN = (*DRAWERS, *MAPS, "label_map")
