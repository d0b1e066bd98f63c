"""Run lengths and polygons of masks by hand; tests/parity has pycocotools."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.geometry.run_length import decode, encode, extent, from_polygons, from_text, to_text

MASK = np.array([[0, 1, 1], [1, 1, 0]], np.uint8)


def test_masks_are_read_column_by_column():
    np.testing.assert_array_equal(encode(MASK), [1, 4, 1])
    np.testing.assert_array_equal(encode(1 - MASK), [0, 1, 4, 1])
    np.testing.assert_array_equal(decode(np.array([1, 4, 1]), (2, 3)), MASK)
    np.testing.assert_array_equal(encode(np.zeros((2, 2), np.uint8)), [4])


def test_decoding_inverts_encoding_and_the_text():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98):
        mask = (rng.random((37, 53)) < share).astype(np.uint8)
        counts = encode(mask)
        np.testing.assert_array_equal(from_text(to_text(counts)), counts)
        np.testing.assert_array_equal(decode(counts, mask.shape), mask)


def test_the_extent_is_the_box_around_the_mask():
    rng = np.random.default_rng(0)
    for share in (0, 0.01, 0.02, 0.5):
        mask = (rng.random((9, 11)) < share).astype(np.uint8)
        y, x = np.nonzero(mask)
        box = [y.min(), x.min(), y.max() + 1, x.max() + 1] if len(y) else [0] * 4
        np.testing.assert_array_equal(extent(encode(mask), mask.shape), box)


def test_texts_by_hand():
    # 6 is one digit; 40 = 8 + 32 two; the fourth count is 10 less than the second.
    assert to_text(np.array([6, 40, 6, 30])) == "6X1" + "6" + "F"
    np.testing.assert_array_equal(from_text("6X16F"), [6, 40, 6, 30])


def test_a_rectangle_of_whole_corners_has_its_pixels():
    corners = np.array([[2.0, 1.0], [2.0, 5.0], [6.0, 5.0], [6.0, 1.0]])
    expected = np.zeros((8, 9), np.uint8)
    expected[2:6, 1:5] = 1
    np.testing.assert_array_equal(from_polygons([corners], (8, 9)), expected)
    other = np.add(corners, [0, 3])
    both = from_polygons([corners, other], (8, 9))
    assert both.sum() == 16 + 16 - 4


def test_what_reaches_outside_is_cut():
    corners = np.array([[-5.0, -5.0], [-5.0, 3.0], [20.0, 3.0], [20.0, -5.0]])
    expected = np.zeros((6, 6), np.uint8)
    expected[:, :3] = 1
    np.testing.assert_array_equal(from_polygons([corners], (6, 6)), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: decode(np.array([1, 2]), (2, 3)),
            "run lengths of 3 pixels, and the image has 2 x 3",
        ),
        (lambda: decode(np.array([8, -2]), (2, 3)), "run lengths of 6"),
        (lambda: from_text("6 1"), "is no text of run lengths"),
        (lambda: from_text("6X"), "ends within a number"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()
