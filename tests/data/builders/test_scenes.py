import cv2
import jax
import numpy as np
import pytest

from cnnlab import config as cfg
from cnnlab.data.builders import outlines, scene_layout, scene_motion, scenes
from cnnlab.data.builders.gratings import PATTERNS
from cnnlab.data.device_transform import make_device_transform
from cnnlab.data.loading.in_memory import stack
from cnnlab.data.preprocess.transforms import preprocess
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.source import load
from cnnlab.geometry import affine

EXAMPLES = [scenes.draw(np.random.default_rng((7, i))) for i in range(100)]
CLASSES = scene_layout.CLASSES


def test_sides_vary_from_64_to_128_and_all_maps_have_those_of_the_image():
    sides = np.array([e["image"].shape[:2] for e in EXAMPLES])
    assert sides.min() < 68 and sides.max() > 124
    aspects = sides[:, 0] / sides[:, 1]
    assert aspects.min() < 0.65 and aspects.max() > 1.5
    for example, size in zip(EXAMPLES, sides, strict=True):
        for key in ("label_map", "depth", "flow"):
            assert example[key].shape[:2] == tuple(size)
        assert example["masks"].shape[1:] == tuple(size)
        np.testing.assert_array_equal(example["video"][0], example["image"])


def test_boxes_are_the_extent_of_the_masks_and_areas_their_pixels():
    for example in EXAMPLES:
        rows = (example[key] for key in ("boxes", "masks", "area"))
        for box, mask, area in zip(*rows, strict=True):
            y, x = np.nonzero(mask)
            np.testing.assert_array_equal(box, [y.min(), x.min(), y.max() + 1, x.max() + 1])
            assert area == len(y)
        assert example["masks"].sum(0).max(initial=0) <= 1


def test_difficult_is_what_is_seen_by_less_than_three_tenths():
    visibility = np.concatenate([e["visibility"] for e in EXAMPLES])
    difficult = np.concatenate([e["difficult"] for e in EXAMPLES])
    np.testing.assert_array_equal(difficult, visibility < 0.3)
    assert 0.02 < difficult.mean() < 0.12
    assert visibility.max() == 1 and visibility.min() >= scene_layout.MIN_VISIBLE


def test_an_area_range_has_about_a_third_of_the_objects():
    areas = np.concatenate([e["area"] for e in EXAMPLES])
    for name, (low, high) in scenes.AREAS.items():
        assert not name or 0.2 < ((areas >= low) & (areas < high)).mean() < 0.5


def test_hidden_keypoints_have_an_object_in_front_and_visible_ones_are_free():
    states = np.zeros(3, int)
    for example in EXAMPLES:
        ids = np.concatenate([np.zeros((1, *example["depth"].shape)), example["masks"]]).argmax(0)
        for number, points in enumerate(example["keypoints"], 1):
            for y, x, v in points:
                states[int(v)] += 1
                # A tip ends between pixels: some of those about it show what covers it.
                about = ids[max(0, int(y) - 2) : int(y) + 3, max(0, int(x) - 2) : int(x) + 3]
                if v == 2:
                    assert not (about > number).all()
                elif v == 1:
                    assert (about > number).any()
                else:
                    assert y == x == 0
    assert (states > 50).all()


def test_tips_are_as_many_as_the_class_has_and_crowds_have_none():
    for example in EXAMPLES:
        rows = (example[key] for key in ("classes", "keypoints", "crowd", "boxes"))
        height, width = example["image"].shape[:2]
        for label, points, crowd, box in zip(*rows, strict=True):
            count = 0 if crowd else outlines.OUTLINES[CLASSES[label]].tips
            assert (points[:, 2] > 0).sum() <= count
            if box[:2].min() > 0 and box[2] < height and box[3] < width and not count:
                assert not points.any()


def test_labels_are_the_classes_and_the_ground_and_every_border_is_one_void_pixel():
    seen = set()
    for example in EXAMPLES:
        labels = example["label_map"]
        void = labels == 255
        seen |= set(np.unique(labels[~void]).tolist())
        for label, mask in zip(example["classes"], example["masks"], strict=True):
            assert (labels[(mask == 1) & ~void] == label).all()
        ground = example["masks"].sum(0) == 0
        assert (labels[ground & ~void] >= len(CLASSES)).all()
        for axis in (0, 1):
            first, second = np.delete(labels, -1, axis), np.delete(labels, 0, axis)
            assert ((first == second) | (first == 255) | (second == 255)).all()
    assert seen == set(range(len(CLASSES) + len(PATTERNS)))
    assert 0.02 < np.mean([(e["label_map"] == 255).mean() for e in EXAMPLES]) < 0.08


def test_depth_falls_with_the_row_of_the_ground_and_from_object_to_object():
    for example in EXAMPLES:
        depth, ground = example["depth"], example["masks"].sum(0) == 0
        rows = np.nonzero(ground)[0]
        inverse = 1 / depth[ground]
        if len(set(rows)) > 10:
            fit = np.polynomial.Polynomial.fit(rows, inverse, 1)
            assert abs(fit(rows) - inverse).max() < 1e-5
            # Nothing is behind the ground that it covers.
            for mask in example["masks"]:
                y, x = np.nonzero(mask)
                assert (depth[y, x] <= 1 / fit(y) + 1e-5).all()
        levels = [np.unique(depth[mask == 1]) for mask in example["masks"]]
        assert all(len(level) == 1 for level in levels)
        assert (np.diff(np.ravel(levels)) < 0).all()
        assert depth.min() > 0 and depth.max() < scenes.FARTHEST[1]


def test_the_second_frame_warped_by_the_flow_is_the_first_where_the_point_is_seen():
    errors = []
    for example in EXAMPLES[:40]:
        first, second = example["video"].astype(np.float32)
        errors.append(warp_error(first, second, example["flow"], example["label_map"]))
    warped, still = np.mean(errors, axis=0)
    # Noise of both frames has this mean; the warp averages some of it.
    assert warped < 1.15 * np.sqrt(2) * scenes.NOISE * np.sqrt(2 / np.pi)
    assert still > 2.5 * warped


def warp_error(first, second, flow, labels):
    """Return the mean difference of the first frame and the second warped, and of the frames."""
    points = scene_motion.centers(first.shape[:2])
    target = (points + flow[..., :2] - 0.5).astype(np.float32)
    warped = cv2.remap(second, target[..., 1], target[..., 0], cv2.INTER_CUBIC)
    # Away from borders, where a pixel is all of one thing; a crop cuts off ends of the flow.
    inner = (labels != 255) & (flow[..., 2] > 0) & affine.inside(target + 0.5, labels.shape)
    known = cv2.erode(inner.astype(np.uint8), np.ones((5, 5))) > 0
    return abs(warped - first)[known].mean(), abs(second - first)[known].mean()


def test_targets_stay_with_the_image_when_it_is_cropped_batched_and_mirrored():
    spec = {k: ((None,) * v.ndim, v.dtype.name) for k, v in EXAMPLES[0].items()}
    info = Info("scenes", "train", spec=spec, left_right={"keypoints": outlines.LEFT_RIGHT})
    chosen = {"random_crop": {"size": 64}, "pad_objects": {"max_objects": 8}}
    rng = np.random.default_rng(0)
    batch = stack([preprocess(e, rng, info.targets(), **chosen) for e in EXAMPLES[:12]])
    data = cfg.base().data.to_dict()
    data["train"]["augment"] = cfg.augment(flip={"probability": 1.0}).to_dict()
    transform = make_device_transform(data, info.targets())
    step = jax.jit(lambda batch: transform(batch, jax.random.key(0), train=True))
    batch["ordinal"] = np.arange(12, dtype=np.uint32)
    made = {k: np.asarray(v) for k, v in step(batch).items()}
    errors = []
    for i in range(12):
        first, second = 255 * made["video"][i]
        errors.append(warp_error(first, second, made["flow"][i], made["label_map"][i]))
        valid = made["objects_valid"][i]
        for key in ("boxes", "masks", "keypoints", "area"):
            assert not made[key][i][~valid].any()
        rows = (made[key][i][valid] for key in ("boxes", "masks", "keypoints", "classes"))
        for box, mask, points, label in zip(*rows, strict=True):
            # A box is cut with its image, and may then be larger than what is left of the mask.
            outside = np.ones_like(mask)
            outside[int(box[0]) : int(box[2]), int(box[1]) : int(box[3])] = 0
            assert not (mask & outside).any()
            void = made["label_map"][i] == 255
            assert (made["label_map"][i][(mask > 0) & ~void] == label).all()
            # Seen from the front, left stays left.
            if (points[:3, 2] > 0).all():
                (a, b), (c, d) = points[1, :2] - points[0, :2], points[2, :2] - points[0, :2]
                assert a * d - b * c > 0
    warped, still = np.mean(errors, axis=0)
    assert warped < 8 and still > 2.5 * warped


def test_color_says_nothing_about_the_class():
    colors: dict[int, list] = {c: [] for c in range(len(CLASSES) + len(PATTERNS))}
    for example in EXAMPLES:
        for label in np.unique(example["label_map"]):
            if label != 255:
                colors[int(label)].append(example["image"][example["label_map"] == label].mean(0))
    every = np.concatenate(list(colors.values()))
    for found in colors.values():
        error = every.std(0) / np.sqrt(len(found))
        assert (abs(np.mean(found, axis=0) - every.mean(0)) < 4 * error).all()


def test_validation_lacks_a_class():
    absent = scenes.ABSENT["validation"]
    for i in range(20):
        example = scenes.draw(np.random.default_rng((7, i)), absent)
        assert CLASSES.index(absent) not in example["classes"]


def test_the_set_is_what_the_seed_draws(tmp_path, monkeypatch):
    # An image without objects is among them: its masks keep their size.
    monkeypatch.setattr(scenes, "SPLITS", {"train": EMPTY + 1, "validation": 2, "test": 1})
    for number, (split, count) in enumerate(scenes.SPLITS.items()):
        source = load("scenes", split, data_dir=str(tmp_path))
        assert len(source) == count
        assert source.info.class_names == (*CLASSES, *PATTERNS)
        assert source.info.left_right == {"keypoints": [[1, 2], [3, 4]]}
        for i in range(count):
            rng = np.random.default_rng((scenes.SEED, number, i))
            expected = scenes.draw(rng, scenes.ABSENT.get(split, ""))
            example = source[i]
            assert example.keys() == source.info.spec.keys()
            assert example.pop("image_id") == i
            assert example.keys() == expected.keys()
            for key, value in expected.items():
                np.testing.assert_array_equal(example[key], value)
                assert example[key].dtype == value.dtype == source.info.spec[key][1]
            assert split != "train" or (len(example["boxes"]) == 0) == (i == EMPTY)


def test_the_first_image_is_pinned():
    # A change here changes everyone's results: then raise the builder's VERSION.
    example = scenes.draw(np.random.default_rng((scenes.SEED, 0, 0)))
    assert [CLASSES[c] for c in example["classes"]] == FIRST
    assert example["boxes"].astype(int).tolist() == BOXES
    assert pytest.approx(example["image"].mean(), abs=0.1) == MEAN


# The first image without objects.
EMPTY = 12
FIRST = ["star5", "star4", "star4"]
BOXES = [[25, 31, 63, 67], [24, 7, 65, 46], [59, 105, 87, 125]]
MEAN = 132.93
