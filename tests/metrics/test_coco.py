"""COCO's numbers where they can be worked out by hand; tests/parity has pycocotools."""

import numpy as np
import pytest

from cnnlab.metrics import coco

ONE = pytest.approx(1)


def image(overlap, scores, *, found=None, true=None, area=1e3, crowd=None, ignored=None, size=1e3):
    overlap = np.array(overlap, float).reshape(len(scores), -1)
    d, g = overlap.shape
    return coco.Image(
        overlap,
        np.array(scores, float),
        np.array(found if found is not None else [0] * d, int),
        np.full(d, size),
        np.array(true if true is not None else [0] * g, int),
        np.full(g, area),
        np.array(crowd if crowd is not None else [False] * g),
        np.array(ignored if ignored is not None else [False] * g),
    )


def test_perfect_detections_have_one_and_no_small_objects_are_nan():
    got = coco.summarize([image([[1.0]], [0.9]), image([[1.0]], [0.8])])
    assert got["AP"] == got["AR100"] == got["AP_small"] == pytest.approx(1)
    # An area of 1,000 is small (below 32^2): there are no medium and large ones.
    assert np.isnan(got["AP_medium"]) and np.isnan(got["AR_large"])


def test_an_overlap_of_62_percent_is_right_at_three_of_ten_thresholds():
    got = coco.summarize([image([[0.62]], [0.9])])
    assert got["AP"] == pytest.approx(0.3) and got["AP50"] == pytest.approx(1) and got["AP75"] == 0


def test_a_better_scored_mistake_halves_the_precision():
    got = coco.summarize([image([[0.0], [1.0]], [0.9, 0.8])])
    assert got["AP"] == pytest.approx(0.5)
    # Below the right one it costs nothing.
    assert coco.summarize([image([[0.0], [1.0]], [0.1, 0.8])])["AP"] == pytest.approx(1)


def test_a_second_hit_of_an_object_is_wrong_but_not_of_a_crowd():
    twice = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert coco.summarize([image(twice, [0.9, 0.8, 0.7])])["AP"] < 0.9
    assert coco.summarize([image(twice, [0.9, 0.8, 0.7], crowd=[True, False])])["AP"] == ONE


def test_what_is_ignored_counts_neither_way():
    ignored = image([[1.0, 0.0], [0.0, 1.0]], [0.9, 0.8], ignored=[True, False])
    assert coco.summarize([ignored])["AP"] == pytest.approx(1)


def test_a_class_without_objects_is_no_part_of_the_mean():
    got = coco.summarize([image([[1.0], [0.0]], [0.9, 0.9], found=[0, 7], true=[0])])
    assert got["AP"] == pytest.approx(1)


def test_objects_without_detections_have_zero_and_nothing_is_nan():
    one = image([[1.0]], [0.9])
    nothing = {name: getattr(one, name)[:0] for name in ("overlap", "score", "found_class")}
    none = one._replace(**nothing, found_area=one.found_area[:0])
    assert coco.summarize([none])["AP"] == 0
    assert all(np.isnan(v) for v in coco.summarize([]).values())


def test_only_so_many_detections_count():
    # The right one has the lowest of 101 scores.
    overlap = np.r_[np.zeros(100), 1.0][:, None]
    many = image(overlap, np.linspace(1, 0.5, 101))
    assert coco.summarize([many])["AP"] == 0
    assert coco.summarize([many], limits=(1, 10, 101))["AP"] == pytest.approx(1 / 101)


def test_similarity_of_keypoints_by_hand():
    true = np.zeros((1, 17, 2))
    found = np.zeros((1, 17, 2))
    found[0, 0, 0] = 3.0
    visible = np.ones((1, 17), bool)
    area, box = np.array([100.0]), np.array([[-5.0, -5, 5, 5]])
    nose = np.exp(-9 / (2 * 100 * (2 * 0.026) ** 2))
    got = coco.keypoint_similarity(found, true, visible, area, box)
    assert got[0, 0] == pytest.approx((16 + nose) / 17)
    visible[0, 1:] = False
    got = coco.keypoint_similarity(found, true, visible, area, box)
    assert got[0, 0] == pytest.approx(nose)
    # Without marks a detection within the enlarged box is as good as can be.
    got = coco.keypoint_similarity(found, true, np.zeros((1, 17), bool), area, box)
    assert got[0, 0] == 1
