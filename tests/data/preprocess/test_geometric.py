"""Every geometric transform of single examples moves every kind, as plain numpy loops do."""

import functools

import numpy as np
import pytest
import spatial_reference as reference

from cnnlab.data.preprocess.transforms import GEOMETRIC, PREPROCESS, preprocess
from cnnlab.data.spatial_targets import Targets
from cnnlab.errors import UserError

TARGETS = Targets(reference.KINDS, reference.PAIRS, min_visible=0.3)
# Transform, arguments, height, width.
CASES = {
    "resize, smaller": ("resize", {"size": 9}, 13, 17),
    "resize, larger": ("resize", {"size": 20}, 13, 17),
    "resize to a square": ("resize", {"size": 11, "mode": "exact"}, 13, 17),
    "random_resize": ("random_resize", {"shorter": (8, 30)}, 13, 17),
    "random_resized_crop": ("random_resized_crop", {"size": 12, "scale": (0.2, 0.9)}, 19, 16),
    "center_crop": ("center_crop", {"size": 11}, 18, 15),
    "random_crop": ("random_crop", {"size": 9}, 15, 16),
    "pad_image": ("pad_image", {"size": 20, "multiple": 1}, 15, 16),
}


def examples(case, scale=1):
    name, arguments, height, width = CASES[case]
    height, width, arguments = scale * height, scale * width, dict(arguments)
    for key in set(arguments) & {"size", "shorter"}:
        arguments[key] = (
            tuple((np.array(arguments[key]) * scale).tolist())
            if key != "size"
            else (scale * arguments[key])
        )
    image = np.round(255 * reference.smooth(height, width)).astype(np.uint8)
    for seed in range(4):
        yield {"image": image, **reference.example(height, width, seed)}, seed, name, arguments


@functools.cache
def outcome(case):
    """What the transform makes, and what plain numpy makes with the same matrix."""
    pairs = []
    for example, seed, name, arguments in examples(case):
        moved = PREPROCESS[name](example, np.random.default_rng(seed), TARGETS, **arguments)
        rng = np.random.default_rng(seed)
        image, matrix = PREPROCESS[name].__wrapped__(example["image"], rng, **arguments)
        wanted, there = reference.moved(example, matrix, image.shape[:2], 0.3)
        for key in ("boxes", "masks", "classes", "joints"):
            wanted[key] = wanted[key][there]
        pairs.append((moved, {**wanted, "image": image, "objects_dropped": (~there).sum()}))
    return pairs


def test_every_geometric_transform_is_tried():
    assert {name for name, *_ in CASES.values()} == set(GEOMETRIC)


@pytest.mark.parametrize("kind", reference.OF_KIND)
@pytest.mark.parametrize("case", CASES)
def test_targets_move_as_in_plain_numpy(case, kind):
    for moved, wanted in outcome(case):
        for key in reference.OF_KIND[kind]:
            assert moved[key].dtype == wanted[key].dtype
            np.testing.assert_allclose(moved[key], wanted[key], atol=1e-5, err_msg=key)


@pytest.mark.parametrize("case", CASES)
def test_objects_that_leave_or_are_hardly_seen_lose_their_rows_and_are_counted(case):
    for moved, wanted in outcome(case):
        assert moved["objects_dropped"] == wanted["objects_dropped"]
        assert "objects_valid" not in moved
        np.testing.assert_array_equal(moved["image"], wanted["image"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("beside", [True, False])
def test_the_frames_of_a_clip_move_as_its_image_does(case, beside):
    for example, seed, name, arguments in examples(case):
        still = PREPROCESS[name](example, np.random.default_rng(seed), TARGETS, **arguments)
        clip = {**example, "video": np.stack([example["image"], 255 - example["image"]])}
        if not beside:
            del clip["image"]
        moved = PREPROCESS[name](clip, np.random.default_rng(seed), TARGETS, **arguments)
        video = moved.pop("video")
        np.testing.assert_array_equal(video[0], still["image"])
        if name != "pad_image":
            # Rounded the other way.
            assert abs(255.0 - video[1] - still["image"]).max() <= 1
        assert moved.keys() == still.keys() - (set() if beside else {"image"})
        for key, value in moved.items():
            np.testing.assert_array_equal(value, still[key])


def test_a_clip_that_is_none_or_of_another_size_than_its_image_is_refused():
    image = np.zeros((9, 9, 3), np.uint8)
    for video, message in (
        (image, "resize needs a uint8 video of shape \\(frames, height, width, channels\\)"),
        (np.zeros((2, 9, 8, 3), np.uint8), "resize needs a video of the image's size, 9 x 9, not"),
        (np.zeros((2, 9, 9, 3), np.float32), "resize needs a uint8 video .*float32"),
    ):
        with pytest.raises(UserError, match=message):
            preprocess({"image": image, "video": video}, None, resize={"size": 4})


def test_some_crops_of_these_tests_drop_some_objects_and_keep_others():
    dropped = [moved["objects_dropped"] for case in CASES for moved, _ in outcome(case)]
    assert 0 < np.count_nonzero(dropped) < len(dropped)


@pytest.mark.parametrize("case", CASES)
def test_the_matrix_says_where_the_pixels_come_from(case):
    for example, seed, name, arguments in examples(case, scale=4):
        rng = np.random.default_rng(seed)
        image, matrix = PREPROCESS[name].__wrapped__(example["image"], rng, **arguments)
        wanted = reference.sampled_image(example["image"], matrix, image.shape[:2])
        inside = ~np.isnan(wanted)
        assert inside.mean() > 0.5
        np.testing.assert_allclose(image[inside], wanted[inside], atol=5)


def test_flow_is_scaled_with_the_image():
    example = {"image": np.zeros((10, 20, 3), np.uint8), "flow": np.full((10, 20, 2), 3.0)}
    moved = PREPROCESS["resize"](example, size=20, mode="exact")
    np.testing.assert_array_equal(moved["flow"], np.broadcast_to([6.0, 3.0], (20, 20, 2)))


def test_masks_that_shrink_take_the_nearest_pixel_and_the_later_of_two():
    masks = np.random.default_rng(0).integers(0, 2, (2, 600, 500)).astype(np.uint8)
    example = {"image": np.zeros((600, 500, 3), np.uint8), "masks": masks}
    for new in (50, 77, 333, 1000):
        moved = PREPROCESS["resize"](example, size=new, mode="exact")["masks"]
        rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for old in (600, 500))
        np.testing.assert_array_equal(moved, masks[:, rows][:, :, columns])


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 1), (3, 40, 30), (6, 5), (0, 4), (2, 3)])
def test_a_target_of_no_declared_kind_is_not_left_behind(name, shape):
    arguments = {"random_resize": {"shorter": (8, 9)}, "pad_image": {}}
    chosen = {name: arguments.get(name, {"size": 8})}
    example = {"image": np.zeros((40, 30, 3), np.uint8), "seen": np.zeros(shape)}
    with pytest.raises(UserError, match=rf"{name} .* 'seen' of shape .* \(box, instance_mask, "):
        preprocess(example, np.random.default_rng(0), **chosen)
    moved = preprocess(
        example, np.random.default_rng(0), Targets({"seen": "not_spatial"}), **chosen
    )
    np.testing.assert_array_equal(moved["seen"], example["seen"])
