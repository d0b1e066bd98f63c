"""`scenes`: up to eight objects on textured ground, for detection, masks, depth, keypoints, flow.

Drawn from a seed, each example by itself. The ground is a plane in perspective and the objects
stand upright on it, so that the lower of two is nearer and covers the other. Color says nothing
about a class, and often not where an object is: of those larger than two periods two in five have
the pattern and colors of the ground below them at another orientation, and of the rest three in
five have two colors. Strokes on the ground are no objects.

    image       uint8 (h, w, 3), sides from 64 to 128
    video       uint8 (2, h, w, 3): the image, and the same after the motion of camera and objects
    boxes       float32 (n, 4), [y0, x0, y1, x1] in pixels around what is visible
    classes     int32 (n,), 0 to 7
    masks       uint8 (n, h, w), 1 where the object is visible; no two overlap
    keypoints   float32 (n, 6, 3), (y, x, v) of the tips: 2 visible, 1 behind another object, 0
                outside or none. The first is the one in front, then left and right in turns, last
                the one behind; round classes and crowds have none
    area        float32 (n,), pixels that are visible
    visibility  float32 (n,), these by all of the object's pixels, outside the image too
    difficult   bool (n,), visibility below 0.3
    crowd       bool (n,), eight to fourteen tiny objects of a class in one row
    label_map   uint8 (h, w), classes, and the ground's patterns as 8 to 10; 255 on the border of
                two regions, one pixel wide
    depth       float32 (h, w), distance, from 1 at the lower border of the ground; an object has
                that of the ground where it stands
    flow        float32 (h, w, 3), (dy, dx, seen): exact everywhere; seen is 1 where the point is in
                the second frame and nothing covers it
    image_id    int32

Objects are listed from back to front. 3,000 train, 500 validation, 500 test; 8 % of images are
empty, `ring` is 2 % of objects, and validation has no `square`. No two boxes have an IoU above 0.6.
`AREAS` are COCO's ranges of areas at this size. A config asks for what it needs, as
`data.keys = ("image", "boxes", "classes", "crowd")`, and batches it by `pad_image` and
`pad_objects`; networks for flow read `video`.

What predictors reach on test that see no shapes (`benchmarks/scenes_floors.py`, 200 images):

    commonest label everywhere          mIoU 0.027, pixel accuracy 0.294
    commonest label of the color        mIoU 0.063, pixel accuracy 0.301
    mean depth, mean depth of the row   absolute relative error 0.401, 0.101; RMSE 0.889, 0.339
    no motion, mean motion              end-point error 3.18, 1.64 pixels; on objects 4.29, 3.26
    segments of one color               recall of objects at IoU 0.5 0.34 (0.98 on `shapes`)
"""

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, Float32, Int, UInt8

from cnnlab.data.builders import gratings, outlines, scene_layout, scene_motion
from cnnlab.data.builders.gratings import PATTERNS, Grating, Ground
from cnnlab.data.builders.scene_layout import CLASSES, Object, mapped_back, masks_of, paint
from cnnlab.data.builders.scene_motion import centers
from cnnlab.data.builders.shapes import boxes_of
from cnnlab.data.spatial_targets import IGNORED_LABEL
from cnnlab.geometry import keypoints

SPLITS = {"train": 3000, "validation": 500, "test": 500}
ABSENT = {"validation": "square"}
SEED = 2017
SIDES = (64, 128)
DIFFICULT = 0.3  # of an object is visible
FARTHEST = (3.0, 6.0)  # distance of the ground at the upper border; 1 at the lower one
NOISE = 5.0  # standard deviation, in each frame anew
# Square pixels, as COCO's 32 and 96 pixels a side for larger images.
AREAS = {"": (0, 1e10), "small": (0, 10**2), "medium": (10**2, 20**2), "large": (20**2, 1e10)}


def draw(rng: np.random.Generator, absent: str = "") -> dict[str, np.ndarray]:
    """Return one example; see the module's docstring for its keys, of which it lacks `image_id`.

    Args:
        rng: what it is drawn from.
        absent: a class that is not to be in it.
    """
    height, width = (int(n) for n in rng.integers(*SIDES, 2, endpoint=True))
    size = height, width
    objects, ids, whole = scene_layout.draw(rng, size, absent)
    ground = gratings.draw_ground(rng, size)
    textures = [gratings.draw_texture(rng, item, ground) for item in objects]
    motions = scene_motion.draw(rng, objects, size)
    after = [item.moved(m) for item, m in zip(objects, motions, strict=False)]
    still = np.broadcast_to(np.eye(2, 3), motions.shape)
    image = _render(rng, textures, ground, ids, still)
    second = _render(rng, textures, ground, paint([o.raster() for o in after], size), motions)
    masks = masks_of(ids, len(objects))
    area = masks.sum((1, 2))
    visibility = (area / whole).astype(np.float32)
    return {
        "image": image,
        "video": np.stack([image, second]),
        "boxes": boxes_of(masks),
        "classes": np.array([CLASSES.index(item.name) for item in objects], np.int32),
        "masks": masks.astype(np.uint8),
        "keypoints": _keypoints(objects, size),
        "area": area.astype(np.float32),
        "visibility": visibility,
        "difficult": visibility < DIFFICULT,
        "crowd": np.array([len(item.poses) > 1 for item in objects], bool),
        "label_map": _label_map(objects, ground, ids),
        "depth": _depth(rng.uniform(*FARTHEST), objects, ids),
        "flow": scene_motion.flow(after, motions, ids),
    }


def _render(
    rng: np.random.Generator,
    textures: list[Grating],
    ground: Ground,
    ids: Int[np.ndarray, "h w"],
    motions: Float[np.ndarray, "m 2 3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a frame, in which object and ground have moved from where their textures are."""
    # In float32, which is as good to look at and twice as fast.
    points, motions = centers(ids.shape).astype(np.float32), motions.astype(np.float32)
    image = np.zeros((*ids.shape, 3), np.float32)
    surfaces: list[Grating | Ground] = [*textures, ground]
    for number, surface in enumerate(surfaces):
        own = ids == (number if number < len(textures) else -1)
        image[own] = surface.colors(mapped_back(motions[number], points[own]))
    image += NOISE * rng.standard_normal(image.shape, np.float32)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _keypoints(objects: list[Object], size: tuple[int, int]) -> Float32[np.ndarray, "n 6 3"]:
    found = np.zeros((len(objects), outlines.SLOTS, 3), np.float32)
    for number, item in enumerate(objects):
        if len(item.poses) == 1:
            points = np.asarray(keypoints.transform(item.poses[0], outlines.tips(item.name), size))
            for other in objects[number + 1 :]:
                points[other.covers(points[:, :2]) & (points[:, 2] > 0), 2] = 1
            found[number] = points
    return found


def _label_map(
    objects: list[Object], ground: Ground, ids: Int[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w"]:
    regions = ground.regions(centers(ids.shape))
    labels = [CLASSES.index(item.name) for item in objects]
    labels += [len(CLASSES) + PATTERNS.index(texture.pattern) for texture in ground.textures]
    numbers = np.where(ids < 0, len(objects) + regions, ids)
    border = np.zeros(ids.shape, bool)
    border[:-1] |= numbers[:-1] != numbers[1:]
    border[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    return np.where(border, IGNORED_LABEL, np.array(labels)[numbers]).astype(np.uint8)


def _depth(
    farthest: float, objects: list[Object], ids: Int[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"]:
    # Of a plane the inverse of the distance is linear in the row.
    rows = np.concatenate([np.arange(len(ids)) + 0.5, [item.foot for item in objects]])
    distance = 1 / (1 / farthest + (1 - 1 / farthest) * rows / len(ids))
    ground, own = distance[: len(ids), None], np.append(distance[len(ids) :], 0)
    return np.where(ids < 0, ground, own[ids]).astype(np.float32)


class Scenes(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builder of `scenes`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        def tensor(shape, dtype, encoding="zlib"):
            return tfds.features.Tensor(shape=shape, dtype=dtype, encoding=encoding)

        features = tfds.features.FeaturesDict(
            {
                "image": tensor((None, None, 3), np.uint8, "bytes"),
                "video": tensor((2, None, None, 3), np.uint8, "bytes"),
                "boxes": tensor((None, 4), np.float32),
                "classes": tensor((None,), np.int32),
                "masks": tensor((None, None, None), np.uint8),
                "keypoints": tensor((None, outlines.SLOTS, 3), np.float32),
                "area": tensor((None,), np.float32),
                "visibility": tensor((None,), np.float32),
                "difficult": tensor((None,), np.bool_),
                "crowd": tensor((None,), np.bool_),
                "label_map": tensor((None, None), np.uint8),
                "depth": tensor((None, None), np.float32),
                "flow": tensor((None, None, 3), np.float32),
                "image_id": np.int32,
            }
        )
        facts = {
            "class_names": [*CLASSES, *PATTERNS],
            "left_right": {"keypoints": outlines.LEFT_RIGHT},
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=features,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(facts),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(i, split) for i, split in enumerate(SPLITS)}

    def _generate_examples(self, number, split):
        for index in range(SPLITS[split]):
            rng = np.random.default_rng((SEED, number, index))
            yield index, {**draw(rng, ABSENT.get(split, "")), "image_id": index}
