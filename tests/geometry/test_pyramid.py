"""The level of a region: by its size, within the levels that there are."""

import numpy as np

from cnnlab.geometry.pyramid import level


def test_a_region_of_224_pixels_is_of_level_4_and_others_by_powers_of_two():
    sides = np.array([0.0, 10, 111, 112, 223, 224, 447, 448, 2000])
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=1)
    np.testing.assert_array_equal(level(boxes), [2, 2, 2, 3, 3, 4, 4, 5, 5])
    # By its area, whatever its aspect.
    assert level(np.array([[0.0, 0, 448, 112]]))[0] == 4
    np.testing.assert_array_equal(level(boxes, finest=3, coarsest=4)[np.array([0, -1])], [3, 4])
