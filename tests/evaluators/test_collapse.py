"""Collapse is seen where there is one, and not in healthy embeddings of few dimensions."""

import numpy as np
import pytest

from cnnlab.evaluators.collapse import collapse, collapsed, effective_rank, embedding_std
from cnnlab.evaluators.features import Features

RNG = np.random.default_rng(0)


def score(features, labels=None):
    keys = {} if labels is None else {"label": labels}
    split = Features(features.astype(np.float32), keys)
    return collapse(split, train=split, val=split, seed=0, similarity=None)


def test_the_deviation_is_that_of_a_plain_loop():
    rows = RNG.normal(size=(20, 6)).astype(np.float32) + 1
    deviations = []
    for j in range(6):
        column = [row[j] / sum(v * v for v in row.tolist()) ** 0.5 for row in rows]
        mean = sum(column) / 20
        deviations.append((sum((v - mean) ** 2 for v in column) / 20) ** 0.5)
    assert embedding_std(rows) == pytest.approx(sum(deviations) / 6 * 6**0.5, rel=1e-6)


def test_the_deviation_of_signed_axes_is_one():
    # Each dimension is 1 or -1 in one of d rows and else 0: deviation sqrt(1 / d).
    rows = np.concatenate([np.eye(8), -np.eye(8)]).astype(np.float32)
    assert embedding_std(rows) == pytest.approx(1, rel=1e-6)
    assert embedding_std(100 * rows) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("n", [500, 12])
def test_r_equal_directions_have_rank_r(n):
    for r in (1, 2, 5):
        # Orthonormal columns of mean zero, in a space of 30 dimensions, off the origin.
        columns = RNG.normal(size=(n, r))
        columns, _ = np.linalg.qr(columns - columns.mean(axis=0))
        basis, _ = np.linalg.qr(RNG.normal(size=(30, r)))
        rows = (columns @ basis.T + 0.1).astype(np.float32)
        assert effective_rank(rows) == pytest.approx(r, rel=1e-4)


def test_unequal_directions_have_exp_of_their_entropy():
    # Singular values 3 to 1: shares 3/4 and 1/4.
    rows = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]], np.float32)
    want = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert effective_rank(rows) == pytest.approx(want, rel=1e-6)


@pytest.mark.parametrize("noise", [0, 1e-7, 1e-4])
def test_one_point_is_a_collapse_up_to_rounding_errors_and_somewhat_above(noise):
    rows = np.full((200, 32), np.pi) + noise * RNG.normal(size=(200, 32))
    found = score(rows, RNG.integers(10, size=200))
    assert collapsed(found)
    assert found.values["embedding_std"] < 1e-3
    if noise < 1e-6:
        assert found.values["effective_rank"] == 0


def test_a_line_is_a_collapse_where_there_are_more_than_two_classes():
    labels = RNG.integers(10, size=300)
    line = np.sign(RNG.normal(size=(300, 1))) * RNG.normal(size=(1, 16))
    found = score(line + 1e-3 * RNG.normal(size=(300, 16)), labels)
    assert found.values["embedding_std"] > 0.5
    assert collapsed(found)
    assert collapsed(score(line))
    assert not collapsed(score(line, labels % 2))


def test_healthy_embeddings_are_not_called_collapsed():
    labels = RNG.integers(10, size=400)
    assert not collapsed(score(RNG.normal(size=(400, 1)), labels))
    assert not collapsed(score(RNG.normal(size=(400, 2)), labels))
    assert not collapsed(score(RNG.normal(size=(400, 64)), labels))
    # Rectified and averaged: all cosines lie above 0.9.
    positive = 1 + 0.2 * RNG.random((400, 64))
    assert not collapsed(score(positive, labels))
