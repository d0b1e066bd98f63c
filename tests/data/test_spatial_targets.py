import numpy as np
import pytest

from cnnlab.data.sources.info import Info
from cnnlab.data.spatial_targets import KINDS, Targets, find
from cnnlab.errors import UserError

IMAGE = np.zeros((6, 8, 3), np.uint8)


def test_a_source_declares_kinds_and_some_names_have_one():
    spec = {
        "image": ((6, 8, 3), "uint8"),
        "boxes": ((None, 4), "float32"),
        "ground": ((6, 8), "uint8"),
        "depth": ((6, 8), "float32"),
        "species": ((None,), "int32"),
        "presence": ((5,), "float32"),
        "flow": ((), "float32"),  # of a river, say: a map has more axes
    }
    info = Info("made up", "train", (), spec, {"ground": "label_map", "depth": "not_spatial"})
    assert info.kinds == {
        "boxes": "box",
        "ground": "label_map",
        "depth": "not_spatial",
        "species": "object",
    }
    assert info.targets(0.5) == Targets(info.kinds, {}, 0.5)


def test_an_unknown_kind_is_refused_with_those_that_there_are():
    message = f"unknown kind 'segments' of 'ground'; there are: {', '.join(KINDS)}"
    with pytest.raises(UserError, match=message):
        Info("made up", "train", kinds={"ground": "segments"})


def test_pairs_and_shares_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="left_right names 'points', which is not declared"):
        Info("made up", "train", left_right={"points": ((0, 1),)})
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=r"data\.min_visible=.* needs a share from 0 to 1"):
            Targets(min_visible=share)
    points = {"image": IMAGE, "keypoints": np.zeros((3, 3))}
    with pytest.raises(UserError, match="left_right of 'keypoints' names 3, of 3 keypoints"):
        find(points, Targets(left_right={"keypoints": ((0, 3),)}), "flip")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("boxes", np.zeros((2, 5)), r"'boxes' of shape \(2, 5\) is no 'box' .* which is n 4"),
        ("masks", np.zeros((2, 3, 4)), "no 'instance_mask' of an image of 6 x 8 pixels"),
        ("label_map", np.zeros((3, 4), int), "which is h w or h w 1"),
        ("label_map", np.zeros((6, 8)), "label_map of type float64, which has no 255"),
        ("label_map", np.zeros((6, 8), np.int8), "label_map of type int8"),
        ("depth", np.zeros((6, 8, 2)), "no 'depth'"),
        ("flow", np.zeros((6, 8)), "which is h w 2 or h w 3"),
        ("keypoints", np.zeros((5, 2)), "which is k 3 or n k 3"),
    ],
)
def test_a_shape_or_type_that_does_not_fit_its_kind_is_refused(key, value, message):
    with pytest.raises(UserError, match=message):
        find({"image": IMAGE, key: value}, Targets(), "flip")


def test_targets_of_the_objects_that_differ_in_number_are_refused():
    example = {"image": IMAGE, "boxes": np.zeros((2, 4)), "classes": np.zeros(3, int)}
    with pytest.raises(UserError, match="differ in their number: 'boxes' has 2, 'classes' has 3"):
        find(example, Targets(), "flip")


def test_the_frames_of_a_clip_have_the_size_of_its_targets():
    clip = {"video": np.zeros((5, 6, 8, 3)), "depth": np.zeros((6, 8))}
    assert find(clip, Targets(), "flip") == {"depth": "depth"}
