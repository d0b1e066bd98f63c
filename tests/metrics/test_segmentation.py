"""Measures of label maps by plain loops over pixels, in both conventions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.metrics.metric import merge
from cnnlab.metrics.segmentation import (
    IGNORED,
    BoundaryIoU,
    boundary,
    boundary_iou,
    confusion,
    iou_of_classes,
    measures,
    summarize,
)


def maps(seed, classes=5):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes - 1, (3, 8, 9)).astype(np.uint8)
    predicted = np.where(rng.random(true.shape) < 0.6, true, rng.integers(0, classes, true.shape))
    true[rng.random(true.shape) < 0.1] = IGNORED
    return true, predicted


def test_every_measure_equals_loops_over_pixels():
    for seed in range(20):
        true, predicted = maps(seed)
        got = summarize(confusion(true, predicted, 6))
        pixels = [
            (t, p) for t, p in zip(true.ravel(), predicted.ravel(), strict=True) if t != IGNORED
        ]
        there = sorted({t for t, _ in pixels})
        hit = {c: sum(t == p == c for t, p in pixels) for c in range(6)}
        of = {c: sum(t == c for t, _ in pixels) for c in range(6)}
        union = {c: sum(c in pair for pair in pixels) for c in range(6)}
        seen = [c for c in range(6) if union[c]]
        expected = {
            "pixel_accuracy": sum(hit.values()) / len(pixels),
            "mean_accuracy": np.mean([hit[c] / of[c] for c in there]),
            "mean_iou": np.mean([hit[c] / union[c] for c in there]),
            "mean_iou_predicted": np.mean([hit[c] / union[c] for c in seen]),
            "fw_iou": sum(of[c] * hit[c] / union[c] for c in there) / len(pixels),
        }
        assert got == pytest.approx(expected)
        # Class 4 is predicted and never there; class 5 is neither.
        assert got["mean_iou_predicted"] < got["mean_iou"]
        assert np.isnan(iou_of_classes(confusion(true, predicted, 6))[5])


def test_without_pixels_all_is_nan():
    matrix = confusion(np.full((2, 2), IGNORED, np.uint8), np.zeros((2, 2), np.uint8), 3)
    assert not matrix.any()
    assert all(np.isnan(value) for value in summarize(matrix).values())


def test_a_boundary_is_as_wide_as_its_share_of_the_diagonal():
    mask = np.zeros((30, 40), bool)
    mask[5:25, 10:30] = True
    # One pixel of 50, and three.
    ring = boundary(mask)
    assert ring.sum() == 20 * 20 - 18 * 18
    assert boundary(mask, 0.06).sum() == 20 * 20 - 14 * 14
    # The border of the image is a contour.
    assert boundary(np.ones((30, 40), bool)).sum() == 30 * 40 - 28 * 38


def test_boundary_iou_sees_what_iou_of_large_masks_does_not():
    true = np.zeros((100, 100), bool)
    true[10:90, 10:90] = True
    moved = np.roll(true, 2, axis=0)
    both = (true & moved).sum() / (true | moved).sum()
    assert boundary_iou([(true, true)]) == 1
    assert boundary_iou([(true, moved)]) < 0.75 and both > 0.94
    assert np.isnan(boundary_iou([]))


def test_measures_add_up_over_batches_and_devices():
    pairs = [maps(seed) for seed in range(4)]
    true, predicted = (np.concatenate(x) for x in zip(*pairs, strict=True))
    logits = jax.nn.one_hot(predicted, 6)
    valid = np.arange(len(true)) < 10
    expected = summarize(confusion(true[:10], predicted[:10], 6))
    parts = [
        jax.jit(measures)(logits[i : i + 6], jnp.asarray(true[i : i + 6]), valid[i : i + 6])
        for i in (0, 6)
    ]
    both = merge(*parts)
    assert {name: metric.compute() for name, metric in both.items()} == pytest.approx(expected)
    none = measures(logits, jnp.asarray(true), jnp.zeros(12, bool))
    assert all(metric.count == 0 for metric in none.values())


def test_a_pixel_for_which_nothing_is_predicted_is_missed():
    logits = jax.nn.one_hot(jnp.zeros((1, 2, 2), int), 2).at[0, 0, 0].set(jnp.nan)
    found = measures(logits, jnp.zeros((1, 2, 2), jnp.int32))
    assert found["pixel_accuracy"].compute() == found["mean_iou"].compute() == 0.75


def test_boundary_iou_of_batches_is_that_of_each_class_of_all_maps():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 3, (2, 4, 5, 6))
    true, predicted = np.repeat(np.repeat(coarse, 8, axis=2), 8, axis=3).astype(np.uint8)
    true[0, :5] = IGNORED
    count = jax.jit(lambda p, t: BoundaryIoU.of(p, t, 4))
    got = count(predicted, true)
    known = true != IGNORED
    expected = [
        boundary_iou((t == c, (p == c) & k) for t, p, k in zip(true, predicted, known, strict=True))
        for c in range(3)
    ]
    # Class 3 is nowhere.
    assert got.compute() == pytest.approx(np.mean(expected))
    halves = [count(predicted[i : i + 2], true[i : i + 2]) for i in (0, 2)]
    assert merge(*halves).compute() == got.compute()
