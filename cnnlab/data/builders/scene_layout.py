"""Where the objects of `scenes` are, which pixels and points they cover, and which are kept."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from cnnlab.data.builders import outlines
from cnnlab.data.builders.shapes import boxes_of
from cnnlab.geometry import affine
from cnnlab.geometry.iou import pairwise_iou

CLASSES = tuple(outlines.OUTLINES)
RARE, RARE_SHARE = "ring", 0.02
DIAMETERS = (8.0, 80.0)  # pixels
MAX_OBJECTS = 8
EMPTY, CROWD, CLOSE = 0.08, 0.12, 0.5  # shares of images, images, objects
MEMBERS, MEMBER_DIAMETERS = (8, 14), (4.0, 7.0)  # of a crowd
MAX_IOU = 0.6
# An object of which less is seen is left out.
MIN_VISIBLE, MIN_AREA = 0.1, 12
TRIES = 10


class Object(NamedTuple):
    """An object, or a crowd.

    Attributes:
        name: of the outline.
        poses: from the outline's units to pixels, of each member of a crowd.
        foot: row where it stands on the ground.
    """

    name: str
    poses: Float[np.ndarray, "m 2 3"]
    foot: float = 0.0

    def moved(self, motion: affine.Matrix) -> "Object":
        """Return the object after a motion."""
        return self._replace(poses=np.array([affine.compose(motion, p) for p in self.poses]))

    def covers(self, points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
        """Return which points (y, x) lie in the object."""
        covered = np.zeros(len(points), bool)
        for pose in self.poses:
            away, reach = abs(points - pose[:, 2]), _reach(pose)
            near = np.flatnonzero((away[:, 0] <= reach[0]) & (away[:, 1] <= reach[1]) & ~covered)
            covered[near] = outlines.inside(self.name, mapped_back(pose, points[near]))
        return covered

    def raster(self) -> "Raster":
        """Return the pixels whose centers the object covers."""
        centers, reach = self.poses[..., 2], _reach(self.poses)
        low = np.floor((centers - reach).min(0)).astype(int)
        high = np.ceil((centers + reach).max(0)).astype(int)
        points = np.indices(high - low).reshape(2, -1).T + low + 0.5
        return Raster(low, self.covers(points).reshape(high - low))


class Raster(NamedTuple):
    """The pixels of an object, in the image or not: a mask, and the place of its first pixel."""

    corner: Int[np.ndarray, "2"]
    mask: Bool[np.ndarray, "a b"]


class Layout(NamedTuple):
    """Objects from back to front, number of the foremost at each pixel (-1: none), whole areas."""

    objects: list[Object]
    ids: Int[np.ndarray, "h w"]
    whole: Int[np.ndarray, "n"]


def paint(objects: Sequence[Raster], size: tuple[int, int]) -> Int[np.ndarray, "h w"]:
    """Return the number of the last object at each pixel of an image, -1 where there is none."""
    ids = np.full(size, -1)
    for number, (corner, mask) in enumerate(objects):
        low = np.clip(corner, 0, size)
        high = np.clip(corner + mask.shape, low, size)
        (a, b), (c, d) = low - corner, high - corner
        ids[low[0] : high[0], low[1] : high[1]][mask[a:c, b:d]] = number
    return ids


def masks_of(ids: Int[np.ndarray, "h w"], count: int) -> Bool[np.ndarray, "n h w"]:
    """Return where each of `count` objects is seen."""
    return ids == np.arange(count)[:, None, None]


def draw(rng: np.random.Generator, size: tuple[int, int], absent: str = "") -> Layout:
    """Return objects at random places of an image, none of the class `absent`."""
    count = 0 if rng.random() < EMPTY else int(rng.integers(1, MAX_OBJECTS + 1))
    found: list[tuple[Object, Raster]] = []
    boxes = np.zeros((0, 4))
    crowded = rng.random() < CROWD
    for number in range(count):
        for _ in range(TRIES):
            item = _propose(rng, size, absent, [o for o, _ in found], crowded and not number)
            raster = item.raster()
            box = boxes_of(masks_of(paint([raster], size), 1))
            if pairwise_iou(box, boxes).max(initial=0) <= MAX_IOU:
                last = raster.corner[0] + np.flatnonzero(raster.mask.any(1))[-1]
                found.append((item._replace(foot=last + rng.uniform(0.5, 1)), raster))
                boxes = np.concatenate([boxes, box])
                break
    return _visible(sorted(found, key=lambda pair: pair[0].foot), size)


def _visible(found: list[tuple[Object, Raster]], size: tuple[int, int]) -> Layout:
    """Leave out what is hardly seen, and the rear one of two whose boxes are too alike."""
    while True:
        objects, rasters = [o for o, _ in found], [r for _, r in found]
        whole = np.array([r.mask.sum() for r in rasters], int)
        ids = paint(rasters, size)
        masks = masks_of(ids, len(found))
        area = masks.sum((1, 2))
        alike = np.triu(pairwise_iou(*2 * [boxes_of(masks)]), 1) > MAX_IOU
        poor = (area < np.maximum(MIN_VISIBLE * whole, MIN_AREA)) | alike.any(1)
        if not poor.any():
            return Layout(objects, ids, whole)
        del found[poor.argmax()]


def _propose(
    rng: np.random.Generator,
    size: tuple[int, int],
    absent: str,
    others: Sequence[Object],
    crowd: bool,
) -> Object:
    common = [name for name in CLASSES if name not in (RARE, absent)]
    name = RARE if rng.random() < RARE_SHARE else str(rng.choice(common))
    largest = min(DIAMETERS[1], 0.8 * min(size))
    diameter = np.exp(rng.uniform(np.log(DIAMETERS[0]), np.log(largest)))
    center = rng.uniform(4, np.array(size) - 4)
    single = [other for other in others if len(other.poses) == 1]
    if crowd:
        cells = np.indices((4, 4)).reshape(2, -1).T - 1.5
        cells = rng.permutation(cells)[: rng.integers(*MEMBERS, endpoint=True)]
        diameters = rng.uniform(*MEMBER_DIAMETERS, len(cells))
        room = np.maximum(0, np.array(size) / 2 - 2 * MEMBER_DIAMETERS[1])
        middle = np.array(size) / 2 + rng.uniform(-room, room)
        places = middle + cells * MEMBER_DIAMETERS[1] + rng.uniform(-1, 1, cells.shape)
        return Object(name, np.stack([_pose(rng, *p) for p in zip(places, diameters, strict=True)]))
    if single and rng.random() < CLOSE:
        other = single[rng.integers(len(single))].poses[0]
        diameter = 2 * np.sqrt(affine.determinant(other)) * rng.uniform(0.8, 1.25)
        angle, step = rng.uniform(0, 2 * np.pi), diameter * rng.uniform(0.1, 0.5)
        center = other[:, 2] + step * np.array([np.sin(angle), np.cos(angle)])
        center = np.clip(center, 4, np.array(size) - 4)
    return Object(name, _pose(rng, center, diameter)[None])


def _pose(
    rng: np.random.Generator, center: np.ndarray, diameter: float
) -> Float[np.ndarray, "2 3"]:
    """Return the map from units to pixels of a circle rotated and slightly stretched."""
    angle, stretch = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(-0.15, 0.15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([diameter / 2 * turn * [stretch, 1 / stretch], center])


def mapped_back(
    matrix: affine.Matrix, points: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 2"]:
    """Return points mapped by the inverse, in a third of the time that `affine` takes."""
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def _reach(poses: Float[np.ndarray, "*m 2 3"]) -> Float[np.ndarray, "*m 2"]:
    """Return how far an outline goes from its center, along y and x."""
    return outlines.FRONT * np.hypot(poses[..., 0], poses[..., 1])
