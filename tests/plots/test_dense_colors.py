"""Directions and depths in their colors."""

import numpy as np

from cnnlab.plots.dense_colors import depth_colors, flow_colors


def test_the_wheel_of_flow():
    # To the right, down, to the left, up; then none, and unknown.
    vectors = [[0, 2, 1], [2, 0, 1], [0, -2, 1], [-2, 0, 1], [0, 0, 1], [0, 2, 0]]
    found = flow_colors(np.array([vectors], np.float32))[0]
    right, down, left, up, none, unknown = found.tolist()
    assert right == [255, 0, 0] and none == [255] * 3 and unknown == [0] * 3
    assert down[0] > 200 and down[1] > 200 and down[2] == 0
    assert left[0] == 0 and left[1] > 150 and left[2] > 150
    assert up[2] == 255 and up[1] == 0
    half = flow_colors(np.array([[[0, 1]]], np.float32), 2.0)[0, 0]
    np.testing.assert_allclose(half, [255, 127, 127], atol=1)


def test_depth_is_brighter_where_it_is_more_and_black_where_it_is_unknown():
    found = depth_colors(np.array([[0.0, 1, 2, 3]])).sum(-1)[0]
    assert found[0] == 0 and (np.diff(found[1:]) > 0).all()
    assert not depth_colors(np.zeros((2, 2))).any()
