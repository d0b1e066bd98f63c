import numpy as np

from cnnlab.geometry import affine

MATRIX = np.array([[0.5, -0.2, 3], [0.7, 1.5, -4]])
POINTS = np.random.default_rng(0).uniform(-9, 9, (5, 4, 2))


def test_points_and_vectors_are_mapped_as_by_products_of_matrices():
    ones = np.concatenate([POINTS, np.ones((5, 4, 1))], -1)
    np.testing.assert_allclose(affine.transform(MATRIX, POINTS), ones @ MATRIX.T)
    np.testing.assert_allclose(affine.linear(MATRIX, POINTS), POINTS @ MATRIX[:, :2].T)


def test_the_inverse_maps_back_and_the_determinant_is_the_growth_of_areas():
    back = affine.transform(affine.inverse(MATRIX), affine.transform(MATRIX, POINTS))
    np.testing.assert_allclose(back, POINTS)
    np.testing.assert_allclose(affine.determinant(MATRIX), np.linalg.det(MATRIX[:, :2]))


def test_a_map_about_the_center_keeps_the_center():
    turn = np.array([[0.0, -1, 0], [1, 0, 0]])
    matrix = affine.from_center(turn, (6, 10))
    np.testing.assert_allclose(affine.transform(matrix, np.array([3.0, 5])), [3, 5])
    np.testing.assert_allclose(affine.transform(matrix, np.array([3.0, 7])), [1, 5])


def test_scale_and_shift():
    matrix = affine.scale_shift((2, 3), (5, 7))
    np.testing.assert_array_equal(affine.transform(matrix, np.array([10.0, 100])), [25, 307])
