import numpy as np
import pytest

from cnnlab.data.builders import outlines
from cnnlab.data.builders.outlines import LEFT_RIGHT, OUTLINES, inside, tips

GRID = np.stack(np.mgrid[-150:150, -150:150], -1) / 100 + 0.005


@pytest.mark.parametrize("name", [name for name, o in OUTLINES.items() if o.tips])
def test_tips_lie_on_the_outline_and_are_as_many_as_it_has(name):
    points = tips(name)
    there = points[points[:, 2] > 0, :2]
    assert len(there) == OUTLINES[name].tips
    assert inside(name, there * 0.999).all() and not inside(name, there * 1.001).any()
    assert not points[points[:, 2] == 0].any()


@pytest.mark.parametrize("name", OUTLINES)
def test_an_outline_is_its_own_mirror_image_where_left_and_right_trade_places(name):
    np.testing.assert_array_equal(inside(name, GRID), inside(name, GRID * (1, -1)))
    mirrored = tips(name) * (1, -1, 1)
    for left, right in LEFT_RIGHT:
        mirrored[[left, right]] = mirrored[[right, left]]
    np.testing.assert_allclose(mirrored, tips(name), atol=1e-12)


@pytest.mark.parametrize("name", OUTLINES)
def test_only_the_front_is_long(name):
    reach = GRID[inside(name, GRID)].max(0)
    assert reach[0] == pytest.approx(outlines.FRONT, abs=0.04)
    assert (abs(GRID[inside(name, GRID)]) <= (outlines.FRONT, 1)).all()


@pytest.mark.parametrize("pair", [("disc", "hexagon"), ("star4", "star5"), ("star5", "star6")])
def test_classes_that_are_alike_share_most_of_their_area(pair):
    first, second = (inside(name, GRID) for name in pair)
    assert (first & second).sum() > 0.6 * (first | second).sum()
