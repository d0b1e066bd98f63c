"""A long curve keeps points at even distances, and its last."""

from cnnlab.metrics.curve import LONGEST, Curve


def test_a_short_curve_is_kept_whole():
    curve = Curve()
    assert curve.points == []
    for step in range(LONGEST):
        curve.add(step, step / 2)
    assert curve.points == [(step, step / 2) for step in range(LONGEST)]


def test_of_a_long_curve_points_at_even_distances_and_the_last_are_kept():
    curve = Curve()
    for step in range(5 * LONGEST):
        curve.add(step, 0.0)
    steps = [step for step, _ in curve.points]
    assert steps == [*range(0, 5 * LONGEST, 8), 5 * LONGEST - 1]
    assert len(steps) <= LONGEST + 1
