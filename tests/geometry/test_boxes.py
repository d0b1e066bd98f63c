import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.geometry import affine, boxes

BOXES = np.array([[0, 0, 4, 4], [2, 3, 8, 5], [-4, 2, 4, 6], [9, 9, 12, 12], [3, 3, 3, 8]], float)


@pytest.mark.parametrize("xp", [np, jnp])
def test_shares_inside_a_picture(xp):
    seen = boxes.visible(xp.asarray(BOXES), (8, 8))
    np.testing.assert_allclose(seen, [1, 1, 0.5, 0, 0], atol=1e-6)


@pytest.mark.parametrize("xp", [np, jnp])
def test_areas_and_parts_inside(xp):
    found = xp.asarray(BOXES)
    np.testing.assert_allclose(boxes.area(found), [16, 12, 32, 9, 0])
    np.testing.assert_allclose(boxes.clip(found, (8, 8))[2], [0, 2, 4, 6])
    assert not boxes.visible(found[:, [2, 3, 0, 1]], (8, 8)).any()  # corners swapped


def test_a_rotated_box_becomes_the_upright_one_around_it():
    turn = affine.from_center(np.array([[0.0, -1, 0], [1, 0, 0]]), (8, 8))
    np.testing.assert_allclose(boxes.transform(turn, BOXES[1]), [3, 2, 5, 8])
    half = np.sqrt(0.5)
    turn = affine.from_center(np.array([[half, -half, 0], [half, half, 0]]), (8, 8))
    square = boxes.transform(turn, np.array([3.0, 3, 5, 5]))
    np.testing.assert_allclose(square, [4 - 2 * half, 4 - 2 * half, 4 + 2 * half, 4 + 2 * half])


def test_no_boxes_stay_no_boxes():
    none = np.zeros((0, 4))
    assert boxes.transform(np.eye(2, 3), none).shape == (0, 4)
    assert boxes.visible(none, (3, 3)).shape == (0,)


@pytest.mark.parametrize("xp", [np, jnp])
def test_formats_convert_and_back(xp):
    found = xp.asarray(BOXES)
    np.testing.assert_array_equal(boxes.from_xyxy(found)[1], [3, 2, 5, 8])
    np.testing.assert_array_equal(boxes.to_xywh(found)[1], [3, 2, 2, 6])
    np.testing.assert_array_equal(boxes.from_xyxy(boxes.from_xyxy(found)), BOXES)
    np.testing.assert_array_equal(boxes.from_xywh(boxes.to_xywh(found)), BOXES)
