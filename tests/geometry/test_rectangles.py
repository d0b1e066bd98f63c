import jax
import numpy as np
import pytest

from cnnlab.geometry.rectangles import central_rectangle, random_rectangle

KEYS = jax.random.split(jax.random.key(0), 3000)


def draw(size, scale, ratio, largest=None):
    largest = largest or size
    one = lambda key: random_rectangle(key, size, scale=scale, ratio=ratio, largest=largest)  # noqa: E731
    return [np.asarray(value) for value in jax.jit(jax.vmap(one))(KEYS)]


def test_area_is_uniform_aspect_log_uniform_and_all_lies_within():
    fits, places = draw((200, 300), (0.1, 0.4), (1 / 2, 2))
    top, left, height, width = places.T
    assert fits.all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 200).all()
    assert (left + width <= 300).all()
    area, aspect = height * width / 60000, np.log2(width / height)
    # Quartiles of uniform distributions, give or take 4 standard errors and the rounding to pixels.
    np.testing.assert_allclose(
        np.quantile(area, [0, 0.25, 0.5, 0.75, 1]), [0.1, 0.175, 0.25, 0.325, 0.4], atol=0.012
    )
    np.testing.assert_allclose(
        np.quantile(aspect, [0, 0.25, 0.5, 0.75, 1]), [-1, -0.5, 0, 0.5, 1], atol=0.08
    )


def test_places_reach_both_ends_of_the_room_equally():
    _, places = draw((10, 14), (16 / 140, 16 / 140), (1, 1))
    assert set(map(tuple, places[:, 2:])) == {(4, 4)}
    for column, room in ((0, 6), (1, 10)):
        counts = np.bincount(places[:, column], minlength=room + 1)
        expected = 3000 / (room + 1)
        assert len(counts) == room + 1
        assert abs(counts - expected).max() < 4.5 * expected**0.5


def test_what_cannot_fit_is_reported():
    fits, _ = draw((10, 100), (1.0, 1.0), (1, 1))
    assert not fits.any()
    fits, _ = draw((10, 10), (1.0, 1.0), (1, 1), largest=(9, 9))
    assert not fits.any()


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((100, 100), (3 / 4, 4 / 3), (0, 0, 100, 100)),
        ((300, 100), (3 / 4, 4 / 3), (83, 0, 133, 100)),
        ((100, 300), (3 / 4, 4 / 3), (0, 83, 100, 133)),
        ((1, 9), (1 / 9, 1 / 8), (0, 4, 1, 1)),
    ],
)
def test_the_fall_back_is_central_and_as_large_as_the_aspect_allows(size, ratio, expected):
    assert central_rectangle(size, ratio) == expected
