import numpy as np

from cnnlab.geometry import keypoints

POINTS = np.array([[1.0, 2, 2], [3, 0, 1], [0, 0, 0], [5, 5, 2]])


def test_points_outside_or_not_labeled_are_zero_and_visibility_stays():
    moved = keypoints.transform(np.array([[1.0, 0, 1], [0, 1, 0]]), POINTS, (5, 4))
    np.testing.assert_array_equal(moved, [[2, 2, 2], [4, 0, 1], [0, 0, 0], [0, 0, 0]])


def test_pairs_trade_places_only_where_the_map_mirrors():
    mirror = np.array([[1.0, 0, 0], [0, -1, 6]])
    moved = keypoints.transform(mirror, POINTS, (6, 6), ((0, 3),))
    np.testing.assert_array_equal(moved, [[5, 1, 2], [3, 6, 1], [0, 0, 0], [1, 4, 2]])
    half_turn = np.array([[-1.0, 0, 6], [0, -1, 6]])
    moved = keypoints.transform(half_turn, POINTS[None], (6, 6), ((0, 3),))
    np.testing.assert_array_equal(moved[0], [[5, 4, 2], [3, 6, 1], [0, 0, 0], [1, 1, 2]])
