"""Targets with a place in the image: the kinds there are, and how each moves with its image.

A source declares the kind of each of its keys in `Info.kinds`. Coordinates are in pixels, y first.
`h` and `w` are the image's height and width, `n` counts objects, `k` keypoints.

    kind            shape of one example      moved by a geometric transform
    box             n 4 [y0, x0, y1, x1]      upright box around the moved corners, clipped
    instance_mask   n h w                     nearest pixel, 0 from outside
    object          n, n k, n k k             stays; a row for each object, such as its class
    keypoints       k 3 or n k 3 (y, x, v)    moved; outside (0, 0, 0); mirrored pairs trade places
    label_map       h w or h w 1, integers    nearest pixel, 255 from outside
    depth           h w or h w 1              nearest pixel, values kept, 0 (unknown) from outside
    flow            h w 2 (dy, dx) or h w 3   nearest pixel, vectors moved, 0 from outside
    disparity       h w or h w 1              nearest pixel, scaled as widths, 0 from outside
    region          4 [y0, x0, y1, x1]        as a box; the part of the image that is no padding
    to_original     2 3                       maps points of the image to the one that was decoded
    not_spatial     any                       stays

The third channel of a flow says where it is known. Boxes, masks, keypoints of objects and `object`
keys have one row an object. An object whose box leaves the image, or is seen by less than
`min_visible` of the area that it came with, is dropped: with all its rows, or where `objects_valid`
says which rows are objects, by a False there and zeros. `objects_dropped` counts them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float

from cnnlab.errors import UserError
from cnnlab.geometry import affine, boxes, dense_maps, keypoints

VALID, DROPPED, CUT = "objects_valid", "objects_dropped", "objects_cut"
# Height and width of the image that was decoded, the map to its points, and where it is.
ORIGINAL_SIZE, TO_ORIGINAL, REGION = "original_size", "to_original", "image_region"
IGNORED_LABEL = 255
# What moves: [h, w, c] or, of a clip, [t, h, w, c].
PICTURES = ("image", "video")


class Movement(NamedTuple):
    """One geometric transform of one image.

    Attributes:
        backward: maps points of the new image to points of the old one.
        size: height and width of the new image.
    """

    backward: Float[Array | np.ndarray, "2 3"]
    size: tuple[int, int]

    @property
    def forward(self) -> Float[Array | np.ndarray, "2 3"]:
        """Maps points of the old image to points of the new one."""
        return affine.inverse(self.backward)


Pairs = Sequence[Sequence[int]]
Mover = Callable[[Any, Movement, Pairs], Any]


def _move_boxes(x: Any, by: Movement, _: Pairs) -> Any:
    return boxes.clip(boxes.transform(by.forward, x), by.size).astype(np.float32)


def _move_keypoints(x: Any, by: Movement, pairs: Pairs) -> Any:
    return keypoints.transform(by.forward, x.astype(np.float32), by.size, pairs)


def _move_map(axis: int = 0, fill: int = 0) -> Mover:
    return lambda x, by, _: dense_maps.sample(x, by.backward, by.size, axis=axis, fill=fill)


def _move_disparity(x: Any, by: Movement, pairs: Pairs) -> Any:
    return (_move_map()(x, by, pairs) * by.forward[1, 1]).astype(x.dtype)


def _stay(x: Any, by: Movement, _: Pairs) -> Any:
    del by
    return x


class Kind(NamedTuple):
    """The shapes of a kind, as in the module's table, and what moves it."""

    shapes: tuple[str, ...]
    move: Mover


KINDS = {
    "box": Kind(("n 4",), _move_boxes),
    "instance_mask": Kind(("n h w",), _move_map(axis=1)),
    "object": Kind(("n", "n k", "n k k"), _stay),
    "keypoints": Kind(("k 3", "n k 3"), _move_keypoints),
    "label_map": Kind(("h w", "h w 1"), _move_map(fill=IGNORED_LABEL)),
    "depth": Kind(("h w", "h w 1"), _move_map()),
    "flow": Kind(
        ("h w 2", "h w 3"), lambda x, by, _: dense_maps.sample_vectors(x, by.backward, by.size)
    ),
    "disparity": Kind(("h w", "h w 1"), _move_disparity),
    "region": Kind(("4",), lambda x, by, _: _move_boxes(x[None], by, ())[0]),
    "to_original": Kind(
        ("2 3",), lambda x, by, _: affine.compose(x, by.backward).astype(np.float32)
    ),
    "not_spatial": Kind((), _stay),
}
# Kinds of keys that transforms add, whatever the source.
ADDED = {TO_ORIGINAL: "to_original", REGION: "region"}
# Kinds of keys of these names, where a source declares none.
NAMES = {
    "boxes": "box",
    "masks": "instance_mask",
    "classes": "object",
    "keypoints": "keypoints",
    "label_map": "label_map",
    "segmentation_mask": "label_map",
    "segmentation_label": "label_map",
    "depth": "depth",
    "flow": "flow",
    "disparity": "disparity",
}


@dataclass(frozen=True)
class Targets:
    """What geometric transforms need to know of the targets.

    Attributes:
        kinds: of the keys.
        left_right: by key of keypoints, pairs of numbers of those that trade places on a flip.
        min_visible: an object is dropped if less than this share of its box stays in the image.
    """

    kinds: Mapping[str, str] = field(default_factory=lambda: NAMES)
    left_right: Mapping[str, Pairs] = field(default_factory=dict)
    min_visible: float = 0.0

    def __post_init__(self):
        """Raise a `UserError` for an unknown kind, pairs of no keypoints, or no share."""
        for key, kind in self.kinds.items():
            if kind not in KINDS:
                raise UserError(f"unknown kind '{kind}' of '{key}'; there are: {', '.join(KINDS)}")
        for key in self.left_right:
            if self.kinds.get(key) != "keypoints":
                raise UserError(f"left_right names '{key}', which is not declared 'keypoints'")
        if not 0 <= self.min_visible <= 1:
            raise UserError(f"data.min_visible={self.min_visible}: needs a share from 0 to 1")


BY_NAME = Targets()


def find(
    example: Mapping[str, Any], targets: Targets, name: str, *, batched: bool = False
) -> dict[str, str]:
    """Return the kinds of those keys of an example, or of a batch, that have a place in its image.

    With them those that have a row an object. Raises a `UserError` in the name of the transform
    `name` for a key whose shape does not fit its kind, and for one of two axes or more an example
    that has none: it might be a map or coordinates, which would be left behind.
    """
    found = {}
    pictures = [key for key in PICTURES if key in example]
    size = np.shape(example[pictures[0]])[-3:-1]
    rows: dict[str, int] = {}
    for key, value in example.items():
        kind, shape = targets.kinds.get(key, ADDED.get(key)), np.shape(value)[batched:]
        if kind is None and len(shape) > 1 and key not in pictures:
            raise UserError(
                f"{name} would move the image and leave '{key}' of shape {shape} behind; declare "
                f"its kind in the source ({', '.join(KINDS)}), drop it from data.keys or do "
                f"without {name}"
            )
        if kind is None or kind == "not_spatial":
            continue
        _check(key, kind, shape, value.dtype, size, targets)
        found[key] = kind
        if has_rows(kind, shape):
            rows[key] = shape[0]
    if len(set(rows.values())) > 1:
        raise UserError(
            "targets of the objects differ in their number: "
            + ", ".join(f"'{key}' has {count}" for key, count in rows.items())
        )
    return found


def has_rank(kind: str, shape: Sequence[int | None]) -> bool:
    """Return whether a kind has shapes of as many axes."""
    return any(len(s.split()) == len(shape) for s in KINDS[kind].shapes)


def has_rows(kind: str, shape: Sequence[int | None]) -> bool:
    """Return whether an example of this shape has one row an object."""
    return any(s[0] == "n" and len(s.split()) == len(shape) for s in KINDS[kind].shapes)


def _check(key: str, kind: str, shape: Any, dtype: Any, size: Any, targets: Targets) -> None:
    lengths = {"h": size[0], "w": size[1], **{digit: int(digit) for digit in "1234"}}

    def fits(pattern: str) -> bool:
        names = pattern.split()
        return len(names) == len(shape) and all(
            lengths.get(n, m) == m for n, m in zip(names, shape, strict=True)
        )

    if not any(map(fits, KINDS[kind].shapes)):
        raise UserError(
            f"'{key}' of shape {shape} is no '{kind}' of an image of {size[0]} x {size[1]} pixels, "
            f"which is {' or '.join(KINDS[kind].shapes)}"
        )
    if kind == "label_map" and not (dtype.kind in "iu" and np.iinfo(dtype).max >= IGNORED_LABEL):
        raise UserError(
            f"'{key}' is a label_map of type {dtype}, which has no {IGNORED_LABEL} for what comes "
            "from outside; store uint8, int16 or int32"
        )
    numbers = [n for pair in targets.left_right.get(key, ()) for n in pair]
    if numbers and max(numbers) >= shape[-2]:
        raise UserError(f"left_right of '{key}' names {max(numbers)}, of {shape[-2]} keypoints")


def refuse(batch: Mapping[str, Any], targets: Targets, name: str) -> None:
    """Raise a `UserError` if a batch has a target with a place, for a transform that moves none."""
    for key, kind in find(batch, targets, name, batched=True).items():
        if kind != "object":
            raise UserError(
                f"{name} would change the image and leave '{key}' behind; "
                f"drop '{key}' from data.keys or do without {name}"
            )


def move(
    example: Mapping[str, Any], kinds: Mapping[str, str], by: Movement, targets: Targets
) -> dict[str, Any]:
    """Return the targets of one example, numpy or JAX arrays, moved with its image.

    Args:
        example: its targets, and where there are, `objects_valid` and `objects_dropped`.
        kinds: of the targets; see `find`.
        by: what the image undergoes.
        targets: see there.

    Without `objects_valid` the objects that are dropped keep their rows until `drop_rows`.
    """
    moved = {
        key: KINDS[kind].move(example[key], by, targets.left_right.get(key, ()))
        for key, kind in kinds.items()
    }
    of_objects = [key for key, kind in kinds.items() if has_rows(kind, example[key].shape)]
    seen = [
        boxes.visible(boxes.transform(by.forward, example[key]), by.size)
        for key, kind in kinds.items()
        if kind == "box"
    ]
    if not seen:
        return moved
    xp = affine.namespace(by.backward)
    there = xp.stack([(s > 0) & (s >= targets.min_visible) for s in seen]).all(0)
    valid = example.get(VALID, xp.ones(there.shape, bool))
    dropped = (valid & ~there).sum(dtype=np.int32) + example.get(DROPPED, np.int32(0))
    moved |= {VALID: valid & there, DROPPED: xp.asarray(dropped, np.int32)}
    return {**moved, **{key: blank(moved[key], moved[VALID]) for key in of_objects}}


def blank(rows: Any, valid: Bool[Array | np.ndarray, " n"]) -> Any:
    """Return rows of objects with zeros where there is none."""
    xp = affine.namespace(rows, valid)
    known = valid.reshape(-1, *[1] * (rows.ndim - 1))
    return xp.where(known, rows, xp.zeros((), rows.dtype))


def drop_rows(example: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return an example without the rows where `objects_valid` is False, and without that."""
    valid = example[VALID]
    rows = {key: example[key] for key, kind in kinds.items() if has_rows(kind, example[key].shape)}
    kept = {key: value for key, value in example.items() if key != VALID}
    return {**kept, **{key: value[valid] for key, value in rows.items()}}
