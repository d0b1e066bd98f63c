"""Similarities in blocks are those of plain loops, and ties are broken at random."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.evaluators import similarities
from cnnlab.evaluators.similarities import blocks, matrix, nearest, paired, unit

RNG = np.random.default_rng(0)
A = RNG.normal(size=(7, 5)).astype(np.float32)
B = RNG.normal(size=(11, 5)).astype(np.float32)


def l1(a, b):
    assert a.dtype == b.dtype == np.float32
    return -np.abs(a[:, None] - b[None]).sum(axis=2)


def by_loop(a, b, distance):
    a, b = a.astype(float), b.astype(float)
    if distance == "cosine":
        return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    return -((a - b) ** 2).sum() if distance == "euclidean" else -np.abs(a - b).sum()


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "learned"])
def test_blocks_pairs_and_loops_agree(monkeypatch, distance):
    monkeypatch.setattr(similarities, "LEARNED_ENTRIES", 9 * 5)  # Squares of 3 x 3.
    monkeypatch.setattr(similarities, "PAIRED", 4)
    how = {"distance": distance, "similarity": l1 if distance == "learned" else None}
    want = np.array([[by_loop(a, b, distance) for b in B] for a in A])
    parts = list(blocks(A, B, **how, entries=25))
    assert [(p.start, p.stop) for p, _ in parts] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    np.testing.assert_allclose(np.concatenate([s for _, s in parts]), want, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(matrix(A, B, **how), want, rtol=1e-6, atol=1e-9)
    first, second = RNG.integers(11, size=(2, 30))
    monkeypatch.setattr(similarities, "ENTRIES", 35)
    got = paired(B, first, second, **how)
    want = [by_loop(B[i], B[j], distance) for i, j in zip(first, second, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_rows_that_differ_by_rounding_errors_tie(distance, noise):
    rows = RNG.normal(size=(1, 67)) + 3
    rows = (rows * (1 + noise * RNG.uniform(-1, 1, size=(203, 67)))).astype(np.float32)
    for scale in (1e-3, 1, 1e3):
        values = matrix(scale * rows, scale * rows[:90], distance=distance, similarity=None)
        assert len(np.unique(values)) == 1


def test_differences_that_float32_has_are_kept():
    rows = np.ones((2, 64), np.float32)
    rows[1, 0] += 1e-3
    for distance in ("cosine", "euclidean"):
        values = matrix(rows, rows, distance=distance, similarity=None)
        assert values[0, 0] > values[0, 1]


def test_a_row_of_zeros_is_like_nothing():
    rows = np.array([[0, 0], [1, 0]], np.float32)
    assert unit(rows).tolist() == [[0, 0], [1, 0]]
    assert matrix(rows, rows, distance="cosine", similarity=None).tolist() == [[0, 0], [0, 1]]


def test_an_unknown_distance_is_named():
    with pytest.raises(UserError, match="unknown distance 'cosin'; did you mean 'cosine'"):
        matrix(A, B, distance="cosin", similarity=None)
    with pytest.raises(UserError, match="unknown distance"):
        paired(A, np.array([0]), np.array([1]), distance="cosin", similarity=None)


def test_the_nearest_are_sorted():
    values = RNG.permuted(np.tile(np.arange(50.0), (20, 1)), axis=1)
    for k in (1, 7, 50):
        chosen = nearest(values, k, np.random.default_rng(0))
        got = np.take_along_axis(values, chosen, axis=1)
        assert (got == np.arange(49, 49 - k, -1)).all()


def test_of_equal_ones_each_is_taken_and_comes_first_equally_often():
    # One is larger, three tie for the other two places, one is smaller.
    values = np.tile([0.5, 1.0, 0.5, 0.2, 0.5], (6000, 1))
    chosen = nearest(values, 3, np.random.default_rng(0))
    assert (chosen[:, 0] == 1).all()
    rest = chosen[:, 1:]
    assert set(np.unique(rest)) == {0, 2, 4}
    assert (rest[:, 0] != rest[:, 1]).all()
    for place in (0, 1):
        counts = np.bincount(rest[:, place], minlength=5)[[0, 2, 4]]
        # Five deviations of a binomial count.
        assert np.abs(counts - 2000).max() < 5 * (6000 * 2 / 9) ** 0.5
    again = nearest(values, 3, np.random.default_rng(0))
    assert (again == chosen).all()
