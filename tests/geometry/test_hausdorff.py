import numpy as np
import pytest

from cnnlab.geometry.hausdorff import centered, modified_hausdorff


def test_it_is_the_larger_mean_distance_to_the_nearest_point():
    a, b = np.array([[0.0, 0], [0, 2]]), np.array([[0.0, 0], [3, 0], [0, 6]])
    # a to b: 0, 2; b to a: 0, 3, 4.
    assert modified_hausdorff(a, b) == modified_hausdorff(b, a) == pytest.approx(7 / 3)


def test_where_a_drawing_lies_does_not_matter():
    ink = np.zeros((9, 9), bool)
    ink[2:4, 3:7] = True
    moved = np.roll(ink, (2, 1), (0, 1))
    assert modified_hausdorff(centered(ink), centered(moved)) == pytest.approx(0)
    assert modified_hausdorff(centered(ink), centered(ink.T)) == 0.5


def test_a_drawing_without_ink_is_a_point():
    np.testing.assert_array_equal(centered(np.zeros((3, 3), bool)), [[0, 0]])
