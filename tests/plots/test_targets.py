"""What is marked in an image is drawn at its place, in the color of its class."""

import numpy as np
import pytest

from cnnlab.data.spatial_targets import NAMES, VALID
from cnnlab.plots.targets import COLORS, draw


def example(**targets):
    return {"image": np.full((8, 16, 3), 200, np.uint8), **targets}


def where(shown, color):
    """Return the pixels of a color, as (first row, first column, last row, last column)."""
    rows, columns = np.nonzero((shown == color).all(-1))
    return rows.min(), columns.min(), rows.max(), columns.max()


def test_boxes_lie_on_their_outer_pixels_in_the_color_of_their_class():
    boxes = np.array([[1, 2, 5, 10], [0, 0, 1, 1]], np.float32)
    shown = draw(example(boxes=boxes, classes=np.array([1, 2])), NAMES, 32)
    assert shown.shape == (16, 32, 3)
    assert where(shown, COLORS[1]) == (2, 4, 9, 19)
    assert where(shown, COLORS[2]) == (0, 0, 1, 1)


def test_what_is_padding_is_not_drawn():
    boxes = np.array([[1, 2, 5, 10], [0, 0, 8, 16]], np.float32)
    valid = {VALID: np.array([True, False])}
    shown = draw(example(boxes=boxes, **valid), NAMES, 16)
    assert not (shown == COLORS[1]).all(-1).any() and (shown == COLORS[0]).all(-1).any()


def test_masks_and_label_maps_cover_their_pixels():
    mask = np.zeros((1, 8, 16), np.uint8)
    mask[0, 2:4, 3:7] = 1
    labels = mask[0] * 2
    labels[7] = 255
    for targets, color in (({"masks": mask}, COLORS[0]), ({"label_map": labels}, COLORS[2])):
        shown = draw(example(**targets), NAMES, 16)
        covered = (0.55 * 200 + 0.45 * np.array(color)).astype(np.uint8)
        assert where(shown, covered) == (2, 3, 3, 6)
        assert ((shown != 200).any(-1)).sum() == 8


@pytest.mark.parametrize("axes", [2, 3])
def test_keypoints_are_dots_where_they_are_visible(axes):
    points = np.array([[4, 8, 2], [1, 1, 0]], np.float32)
    shown = draw(example(keypoints=points[None] if axes == 3 else points), NAMES, 16)
    assert where(shown, COLORS[0]) == (2, 6, 6, 10)


def test_gray_images_and_images_without_objects_are_drawn():
    gray = {"image": np.full((8, 8, 1), 100, np.uint8), "boxes": np.zeros((0, 4), np.float32)}
    shown = draw(gray, NAMES, 16)
    assert shown.shape == (16, 16, 3) and (shown == 100).all()


def test_maps_of_numbers_are_pictures_of_their_own():
    image = {"image": np.zeros((8, 16, 3), np.uint8)}
    shown = draw({**image, "flow": np.ones((8, 16, 2), np.float32)}, NAMES, 16)
    assert shown.shape == (16, 16, 3) and not shown[:8].any() and shown[8:].any()
    maps = {"depth": np.ones((8, 16, 1)), "disparity": np.ones((8, 16))}
    assert draw({**image, **maps}, NAMES, 16).shape == (24, 16, 3)
    # Three squares and a white one.
    square = {"image": np.zeros((8, 8, 3), np.uint8), "depth": maps["depth"][:, :8]}
    shown = draw({**square, "disparity": maps["disparity"][:, :8]}, NAMES, 8)
    assert shown.shape == (16, 16, 3) and (shown[8:, 8:] == 255).all() and not shown[:8, :8].any()


def test_a_label_map_is_a_picture_of_its_own_beside_objects():
    labels = np.zeros((8, 16), np.uint8)
    labels[:, 8:], labels[0] = 3, 255
    shown = draw(example(boxes=np.zeros((0, 4), np.float32), label_map=labels), NAMES, 16)
    assert shown.shape == (16, 16, 3) and (shown[:8] == 200).all() and (shown[8] == 255).all()
    assert (shown[9:, :8] == COLORS[0]).all() and (shown[9:, 8:] == COLORS[3]).all()
