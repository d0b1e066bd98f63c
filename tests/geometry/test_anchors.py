"""Anchors of torchvision's and of py-faster-rcnn's convention: their published numbers."""

import numpy as np

from cnnlab.geometry.anchors import (
    cell_anchors,
    cell_anchors_caffe,
    grid_anchors,
    pyramid_anchors,
)

# py-faster-rcnn, generate_anchors.py: [x0, y0, x1, y1], corners inclusive.
CAFFE = [
    *([-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199]),
    *([-56, -56, 71, 71], [-120, -120, 135, 135], [-248, -248, 263, 263]),
    *([-36, -80, 51, 95], [-80, -168, 95, 183], [-168, -344, 183, 359]),
]


def test_cell_anchors_of_torchvision():
    expected = [[-11, -23, 11, 23], [-16, -16, 16, 16], [-23, -11, 23, 11]]
    np.testing.assert_array_equal(cell_anchors([32], [0.5, 1, 2]), expected)
    exact = cell_anchors([32, 64], [0.5, 2], rounded=False)
    sides = exact[:, 2:] - exact[:, :2]
    np.testing.assert_allclose(sides.prod(1), [32**2, 64**2] * 2, rtol=1e-6)
    np.testing.assert_allclose(sides[:, 0] / sides[:, 1], [0.5, 0.5, 2, 2], rtol=1e-6)


def test_cell_anchors_of_py_faster_rcnn():
    x0, y0, x1, y1 = np.array(CAFFE).T
    expected = np.stack([y0, x0, y1 + 1, x1 + 1], axis=1)
    np.testing.assert_array_equal(cell_anchors_caffe(), expected)


def test_grid_goes_row_by_row_with_all_anchors_of_a_place_together():
    cell = np.array([[-1.0, -2.0, 1.0, 2.0], [-4.0, -4.0, 4.0, 4.0]])
    got = grid_anchors(cell, (3, 5), (16, 8))
    expected = [
        np.add(box, [16 * i, 8 * j, 16 * i, 8 * j])
        for i in range(3)
        for j in range(5)
        for box in cell
    ]
    np.testing.assert_array_equal(got, expected)


def test_800_pixels_have_159882_anchors_and_the_last_level_a_stride_of_61():
    # Five levels of one size and three ratios: 200, 100, 50, 25 and 13 places a side.
    grids = [(n, n) for n in (200, 100, 50, 25, 13)]
    sizes = [[size] for size in (32, 64, 128, 256, 512)]
    levels = pyramid_anchors((800, 800), grids, sizes, [0.5, 1, 2])
    assert sum(map(len, levels)) == 159_882
    steps = [level[3, 1] - level[0, 1] for level in levels]
    assert steps == [4, 8, 16, 32, 61]
