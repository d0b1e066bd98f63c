import numpy as np
import pytest

from cnnlab.data.builders import pen


def test_a_curve_passes_through_its_points_and_is_straight_through_points_in_line():
    points = np.array([[0.0, 0.0], [1.0, 0.5], [1.5, -1.0], [0.2, 0.7]])
    line = pen.curve(points)
    np.testing.assert_allclose(line[:: pen.STEPS], points, atol=1e-12)
    # Halfway, a Catmull-Rom segment is (-a + 9 b + 9 c - d) / 16.
    middle = (-points[0] + 9 * points[1] + 9 * points[2] - points[3]) / 16
    np.testing.assert_allclose(line[pen.STEPS + pen.STEPS // 2], middle, atol=1e-12)
    straight = pen.curve(np.array([[0.0, 0.0], [1.0, 2.0]]))
    np.testing.assert_allclose(straight, np.linspace([0, 0], [1, 2], pen.STEPS + 1), atol=1e-12)


def test_corners_make_the_sides_of_a_curve_straight():
    line = pen.curve(pen.corners(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])))
    inside = (line[:, 0] > 0.1) & (line[:, 0] < 0.9)
    assert abs(line[inside, 1]).max() < 0.01


@pytest.mark.parametrize("width", pen.PENS)
@pytest.mark.parametrize("angle", [0.0, 0.5, 1.2])
def test_the_ink_of_a_line_is_as_wide_as_the_pen(width, angle):
    direction = np.array([np.cos(angle), np.sin(angle)])
    line = 5.3 + np.linspace(0, 20, 9)[:, None] * direction
    area = pen.render([line], width).sum() / 255
    # A long side and two round ends.
    assert area == pytest.approx(20 * width + np.pi / 4 * width**2, rel=0.06)


def test_a_line_is_where_its_points_say():
    picture = pen.render([np.array([[8.0, 16.0], [24.0, 16.0]])], 1.9)[..., 0].astype(float)
    y, x = np.mgrid[:32, :32] + 0.5  # centers of pixels
    assert (picture * y).sum() / picture.sum() == pytest.approx(16, abs=0.15)
    assert (picture * x).sum() / picture.sum() == pytest.approx(16, abs=0.15)
