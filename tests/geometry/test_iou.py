"""Overlaps of boxes: plain loops, known values, gradients, and boxes that are empty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.geometry import iou as overlaps
from cnnlab.geometry.iou import ciou, diou, giou, iou, pairwise_ioa, pairwise_iou

MEASURES = [iou, giou, diou, ciou]
EMPTY = jnp.array([3.0, 3.0, 3.0, 3.0])
# Of [10, 10, 12, 12] seen from [0, 0, 2, 2].
FAR, NEAR = jnp.array([10.0, 10.0, 12.0, 12.0]), jnp.array([0.0, 0.0, 2.0, 2.0])


def boxes(count, seed=0, high=20.0, whole=False):
    corners = np.random.default_rng(seed).uniform(0, high, (count, 2, 2))
    corners = np.round(corners) if whole else corners
    return np.concatenate([corners.min(1), corners.max(1)], axis=1)


def by_hand(a, b):
    """Return IoU, GIoU, DIoU and CIoU of two boxes, with what is 0 / 0 as 0."""
    (y0, x0, y1, x1), (v0, u0, v1, u1) = a, b
    height, width = min(y1, v1) - max(y0, v0), min(x1, u1) - max(x0, u0)
    both = max(height, 0) * max(width, 0)
    union = (y1 - y0) * (x1 - x0) + (v1 - v0) * (u1 - u0) - both
    share = both / union if union else 0.0
    tall, wide = max(y1, v1) - min(y0, v0), max(x1, u1) - min(x0, u0)
    apart = ((y0 + y1 - v0 - v1) ** 2 + (x0 + x1 - u0 - u1) ** 2) / 4
    hull, diagonal = tall * wide, tall**2 + wide**2
    d = share - (apart / diagonal if diagonal else 0)
    angles = [
        np.arctan(w / h) if w * h else 0.0 for h, w in ((y1 - y0, x1 - x0), (v1 - v0, u1 - u0))
    ]
    v = 4 / np.pi**2 * (angles[0] - angles[1]) ** 2
    alpha = v / (1 - share + v) if v else 0
    return share, share - ((hull - union) / hull if hull else 0), d, d - alpha * v


@pytest.mark.parametrize("whole", [False, True], ids=["real", "whole"])
def test_every_measure_equals_a_plain_loop_on_1000_pairs(whole):
    # Whole corners share edges and are empty now and then.
    high = 4.0 if whole else 20.0
    first, second = boxes(1000, 0, high, whole), boxes(1000, 1, high, whole)
    expected = np.array([by_hand(a, b) for a, b in zip(first, second, strict=True)]).T
    for measure, values in zip(MEASURES, expected, strict=True):
        got = jax.jit(measure)(jnp.asarray(first), jnp.asarray(second))
        np.testing.assert_allclose(got, values, atol=1e-5)
        # In numpy, in double precision.
        np.testing.assert_allclose(measure(first, second), values, atol=1e-6)


def test_pairwise_is_every_pair():
    first, second = boxes(7), boxes(5, 1)
    got = pairwise_iou(first, second)
    assert got.shape == (7, 5)
    for i, j in np.ndindex(7, 5):
        assert got[i, j] == pytest.approx(by_hand(first[i], second[j])[0], abs=1e-6)
    batched = pairwise_iou(np.stack([first, first]), np.stack([second, second]))
    np.testing.assert_allclose(batched[1], got)


def test_the_share_in_a_crowd_is_of_the_first_boxes_area():
    crowd = np.array([[0.0, 0.0, 10.0, 10.0]])
    first = np.array([[2.0, 2.0, 4.0, 4.0], [8.0, 8.0, 12.0, 12.0], EMPTY])
    np.testing.assert_allclose(pairwise_ioa(first, crowd)[:, 0], [1.0, 0.25, 0.0])
    twice = pairwise_ioa(first, np.concatenate([crowd, crowd + 10]))
    np.testing.assert_allclose(twice, [[1.0, 0.0], [0.25, 0.25], [0.0, 0.0]])
    assert pairwise_ioa(first, crowd[:0]).shape == (3, 0)


def test_known_values():
    a, b = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([1.0, 1.0, 3.0, 3.0])
    got = [float(measure(a, b)) for measure in MEASURES]
    assert got == pytest.approx([1 / 7, -0.079365, 0.031746, 0.031746], abs=1e-6)
    assert float(giou(FAR, NEAR)) == pytest.approx(-0.944444, abs=1e-6)


def test_disjoint_boxes_have_no_gradient_of_iou_and_giou_first_enlarges_the_box():
    np.testing.assert_array_equal(jax.grad(iou)(FAR, NEAR), np.zeros(4))
    slope = jax.grad(lambda box: 1 - giou(box, NEAR))(FAR)
    np.testing.assert_allclose(slope, [0.0139, 0.0139, -0.0093, -0.0093], atol=1e-4)
    # Descent moves the near corner towards the other box, and the far corner away from it.
    y0, x0, y1, x1 = FAR - np.asarray(slope)
    assert (y1 - y0) * (x1 - x0) > 4


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "pair",
    [(EMPTY, EMPTY), (EMPTY, NEAR), (NEAR, EMPTY), (NEAR, NEAR), (jnp.array([2.0, 2, 0, 0]), NEAR)],
    ids=["both empty", "first empty", "second empty", "identical", "swapped"],
)
def test_empty_and_identical_boxes_have_finite_values_and_gradients(measure, pair):
    first, second = pair
    value, slope = jax.value_and_grad(measure)(first, second)
    assert np.isfinite(value) and np.isfinite(slope).all()
    if (pair[0] == pair[1]).all() and pair[0] is not EMPTY:
        assert value == pytest.approx(1.0)
    elif measure is iou:
        assert value == 0


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.sample(2)
def test_gradients_are_finite_differences(measure):
    first, second = boxes(20, 2)[:, None], boxes(20, 3)[:, None]
    with jax.enable_x64(True):
        for a, b in zip(first, second, strict=True):
            # CIoU holds its weight constant: so does the difference.
            frozen = overlaps._quotient(v := _v(a, b), 1 - iou(a, b) + v)

            def value(box, b=b, frozen=frozen):
                return (diou(box, b) - frozen * _v(box, b) if measure is ciou else measure(box, b))[
                    0
                ]

            slope = jax.grad(lambda box, b=b: measure(box, b)[0])(jnp.asarray(a))[0]
            steps = 1e-6 * np.eye(4)
            expected = [(value(a + s) - value(a - s)) / 2e-6 for s in steps]
            np.testing.assert_allclose(slope, expected, atol=1e-5)


def _v(a, b):
    return 4 / np.pi**2 * (overlaps._angle(a) - overlaps._angle(b)) ** 2


def test_memory_of_many_pairs_is_that_of_their_result():
    compiled = (
        jax.jit(pairwise_iou)
        .lower(jnp.zeros((10_000, 4)), jnp.zeros((100, 4)))
        .compile()
        .memory_analysis()
    )
    # Four bytes of each pair; temporaries no more than three times as much.
    assert compiled.temp_size_in_bytes <= 3 * 4 * 10_000 * 100
