import numpy as np
import pytest

from cnnlab.data.builders import gratings, scene_layout
from cnnlab.data.builders.gratings import PATTERNS, Grating, Ground

POINTS = np.stack(np.mgrid[:60, :60], -1).reshape(-1, 2) + 0.5
UNIT = np.array([[0.1, 0, 0], [0, 0.1, 0]])


def grating(pattern="stripes", backward=UNIT):
    return Grating(pattern, backward, np.full(3, 100.0), np.array([30.0, 0, -30]))


@pytest.mark.parametrize("pattern", [*PATTERNS, "quarters"])
def test_a_pattern_swings_about_its_mean_as_far_as_it_says(pattern):
    # "quarters" meet in the middle.
    backward = UNIT - [[0, 0, 3], [0, 0, 3]]
    colors = grating(pattern, backward).colors(POINTS)
    np.testing.assert_allclose(colors.mean(0), 100, atol=2)
    np.testing.assert_allclose(colors.max(0) - colors.min(0), [60, 0, 60], atol=2)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_rotated_pattern_has_the_same_colors_elsewhere(pattern):
    first, second = (g.colors(POINTS) for g in (grating(pattern), grating(pattern).rotated(0.7)))
    assert abs(first - second).mean() > 5
    levels = [np.quantile(colors[:, 0], np.linspace(0, 1, 11)) for colors in (first, second)]
    np.testing.assert_allclose(*levels, atol=8)


def test_ground_has_the_color_of_the_nearest_region_and_of_the_arcs_on_it():
    seeds = np.array([[0.0, 0], [60, 60]])
    flat = [Grating("stripes", UNIT, np.full(3, m), np.zeros(3)) for m in (50.0, 200.0)]
    # A whole circle about the middle, of radius 20 and 2 wide.
    arcs = np.array([[30.0, 30, 20, 1, 0, 2 * np.pi]])
    ground = Ground(seeds, flat, arcs, np.array([[7.0, 7, 7]]))
    colors, radius = ground.colors(POINTS)[:, 0], np.hypot(*(POINTS - 30).T)
    np.testing.assert_array_equal(colors == 7, abs(radius - 20) < 1)
    np.testing.assert_array_equal(ground.regions(POINTS), POINTS.sum(1) > 60)
    np.testing.assert_array_equal(colors[0], 50)
    np.testing.assert_array_equal(colors[-1], 200)


def test_all_patterns_are_grounds_and_all_kinds_of_texture_objects():
    grounds, kinds = set(), []
    for i in range(60):
        rng = np.random.default_rng((5, i))
        ground = gratings.draw_ground(rng, (90, 90))
        grounds |= {texture.pattern for texture in ground.textures}
        assert len(ground.textures) == len(ground.seeds) and len(ground.arcs) <= gratings.STROKES
        for item in scene_layout.draw(rng, (90, 90)).objects:
            texture = gratings.draw_texture(rng, item, ground)
            same = [t for t in ground.textures if np.array_equal(t.mean, texture.mean)]
            kinds.append("rotated" if same else texture.pattern)
            if same:
                assert texture.pattern == same[0].pattern
                assert not np.allclose(texture.backward, same[0].backward)
    assert grounds == set(PATTERNS)
    assert set(kinds) == {"rotated", "quarters", *PATTERNS}
    assert 0.05 < np.mean(np.array(kinds) == "rotated") < 0.3


def test_two_colors_share_the_quarters_between_the_axes_of_the_object():
    rng = np.random.default_rng(0)
    pose = np.array([[[6.0, 8, 30], [-8, 6, 30]]])
    item, ground = scene_layout.Object("disc", pose), gratings.draw_ground(rng, (60, 60))
    drawn = (gratings.draw_texture(rng, item, ground) for _ in range(99))
    texture = next(t for t in drawn if t.pattern == "quarters")
    own = (POINTS - 30) @ pose[0, :, :2] / 10
    away = (abs(own) > 1).all(1)
    expected = texture.mean + texture.swing * np.sign(own).prod(1, keepdims=True)
    np.testing.assert_allclose(texture.colors(POINTS)[away], expected[away])
