"""Non-maximum suppression equals the greedy loop at every threshold, with ties and padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.geometry import nms as suppression
from cnnlab.geometry.iou import pairwise_iou
from cnnlab.geometry.nms import nms

COUNT = 40


def case(rng, count=COUNT):
    """Return crowded boxes with duplicates, tied scores, padding and classes."""
    start = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([start, start + rng.uniform(2, 25, (count, 2))], axis=1)
    boxes[rng.integers(0, count, 5)] = boxes[rng.integers(0, count, 5)]
    scores = rng.integers(0, 12, count) / 12
    return (
        boxes.astype(np.float32),
        scores.astype(np.float32),
        rng.random(count) < 0.8,
        rng.integers(0, 3, count),
    )


def greedy(overlap, scores, threshold, valid, groups):
    kept = []
    for i in sorted(np.flatnonzero(valid), key=lambda i: (-scores[i], i)):
        if all(overlap[i, k] <= threshold or groups[i] != groups[k] for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("classes", [False, True], ids=["one class", "by class"])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_equals_the_greedy_loop(threshold, classes, monkeypatch):
    # Three tiles, the last half empty.
    monkeypatch.setattr(suppression, "TILE", 16)
    rng = np.random.default_rng(int(100 * threshold))
    boxes, scores, valid, groups = map(np.stack, zip(*(case(rng) for _ in range(100)), strict=True))
    groups = groups if classes else np.zeros_like(groups)
    run = jax.jit(jax.vmap(lambda b, s, v, g: nms(b, s, threshold, COUNT, valid=v, groups=g)))
    got = run(boxes, scores, valid, groups)
    overlaps = jax.jit(pairwise_iou)(boxes, boxes)
    for i in range(100):
        expected = greedy(np.asarray(overlaps[i]), scores[i], threshold, valid[i], groups[i])
        found = np.asarray(got.rows[i])[np.asarray(got.valid[i])]
        np.testing.assert_array_equal(found, expected)


def test_the_best_of_many_are_those_of_the_greedy_loop():
    # They are found before the last tile.
    rng = np.random.default_rng(0)
    boxes, scores, valid, groups = case(rng, 500)
    got = jax.jit(lambda b, s, v, g: nms(b, s, 0.5, 30, valid=v, groups=g))(
        boxes, scores, valid, groups
    )
    overlap = np.asarray(pairwise_iou(boxes, boxes))
    expected = greedy(overlap, scores, 0.5, valid, groups)
    assert len(expected) > 30 and got.valid.all()
    np.testing.assert_array_equal(got.rows, expected[:30])


def test_memory_is_not_that_of_every_pair():
    many = jax.ShapeDtypeStruct((10_000, 4), jnp.float32), jax.ShapeDtypeStruct((10_000,), float)
    compiled = jax.jit(lambda b, s: nms(b, s, 0.5, 100)).lower(*many).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 4_000_000


def test_a_threshold_below_one_half_is_not_one_half():
    # IoU .429, .429 and .111: at 0.3 the second box goes, and the third, which it overlaps, stays.
    boxes = jnp.array([[0.0, 0, 10, 10], [0, 4, 10, 14], [0, 8, 10, 18]])
    got = nms(boxes, jnp.array([0.9, 0.8, 0.7]), 0.3, 3)
    np.testing.assert_array_equal(got.rows[:2], [0, 2])
    np.testing.assert_array_equal(got.valid, [True, True, False])


def test_what_touches_the_threshold_stays():
    boxes = jnp.array([[0.0, 0, 2, 2], [0, 1, 2, 3]])
    assert float(pairwise_iou(boxes, boxes)[0, 1]) == pytest.approx(1 / 3)
    exact = pairwise_iou(boxes, boxes)[0, 1]
    assert nms(boxes, jnp.array([1.0, 0.5]), exact, 2).valid.all()


def test_rows_are_cut_and_filled():
    boxes = jnp.array([[0.0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10]])
    scores = jnp.array([0.1, 0.3, 0.2])
    np.testing.assert_array_equal(nms(boxes, scores, 0.5, 2).rows, [1, 2])
    more = nms(boxes, scores, 0.5, 5)
    np.testing.assert_array_equal(more.valid, [True] * 3 + [False] * 2)
    none = nms(boxes, scores, 0.5, 3, valid=jnp.zeros(3, bool))
    assert not none.valid.any()
    assert not nms(boxes[:0], scores[:0], 0.5, 3).valid.any()


def test_a_score_that_is_nan_is_not_there():
    boxes = jnp.array([[0.0, 0, 1, 1], [5, 5, 6, 6]])
    got = nms(boxes, jnp.array([jnp.nan, 0.5]), 0.5, 2)
    np.testing.assert_array_equal(got.rows[got.valid], [1])
