"""Retrieval on hand-made rankings and against a plain loop."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.evaluators import similarities
from cnnlab.evaluators.features import Features
from cnnlab.evaluators.retrieval import average_precision_at_r, retrieval


def run(features, labels, **keywords):
    split = Features(np.asarray(features, np.float32), {"label": np.asarray(labels)})
    given = {"seed": 0, "similarity": None, **keywords}
    return retrieval(split, train=split, val=split, **given)


def test_the_average_precision_of_hand_made_rankings():
    right = np.array([[1, 1, 1, 0], [1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1], [1, 1, 0, 0]], bool)
    others = np.array([3, 3, 2, 3, 0])
    want = [1, (1 + 2 / 3) / 3, 0.5 / 2, 0, 0]
    np.testing.assert_allclose(average_precision_at_r(right, others), want, rtol=1e-12)


def test_points_on_a_line():
    # Nearest first, by distance: of 0: 1, 3, 7; of 1: 0, 3, 7; of 3: 1, 0, 7; of 7: 3, 1, 0.
    got = run([[0], [1], [3], [7]], [0, 1, 0, 1], distance="euclidean", ks=(1, 2, 3, 50))
    # A class's other is found second from 0 and 3, third from 1, second from 7.
    assert got.values == {
        "recall@1": 0,
        "recall@2": 0.75,
        "recall@3": 1,
        "recall@50": 1,
        "map@r": 0,
    }


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "learned"])
def test_it_is_a_plain_loops(monkeypatch, distance):
    monkeypatch.setattr(similarities.blocks, "__kwdefaults__", {"entries": 1000})
    rng = np.random.default_rng(0)
    labels = np.append(rng.integers(6, size=79), 99)
    x = (rng.normal(size=(100, 5))[labels] + rng.normal(size=(80, 5))).astype(np.float32)
    y = x.astype(float)
    if distance == "cosine":
        unit = y / np.linalg.norm(y, axis=1, keepdims=True)
        scores = unit @ unit.T
    elif distance == "euclidean":
        scores = -((y[:, None] - y) ** 2).sum(axis=2)
    else:
        scores = y @ y.T
    found, precision = {1: 0, 5: 0, 10: 0}, 0.0
    for i in range(79):
        ranked = sorted((j for j in range(80) if j != i), key=lambda j: -scores[i, j])
        hits = [labels[j] == labels[i] for j in ranked]
        r = sum(hits)
        for k in found:
            found[k] += any(hits[:k])
        precision += sum(sum(hits[: p + 1]) / (p + 1) for p in range(r) if hits[p]) / r
    learned = {"similarity": lambda a, b: a @ b.T}
    given = learned if distance == "learned" else {"similarity": None, "distance": distance}
    got = run(x, labels, **given)
    for k, count in found.items():
        assert got.values[f"recall@{k}"] == count / 79
    assert got.values["map@r"] == pytest.approx(precision / 79, rel=1e-12)
    # The only one of its class is among those searched, and asks nothing.
    assert "79 queries in 80" in got.setting


def test_a_collapsed_embedding_is_at_chance():
    labels = np.repeat(np.arange(10), 100)
    got = run(np.ones((1000, 3)), labels).values
    # Of 999 others 99 are right; five deviations of a binomial share.
    share = 99 / 999
    assert abs(got["recall@1"] - share) < 5 * (share * (1 - share) / 1000) ** 0.5
    ten = 1 - (1 - share) ** 10
    assert abs(got["recall@10"] - ten) < 5 * (ten * (1 - ten) / 1000) ** 0.5


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="a class with two examples"):
        run(np.ones((4, 2)), np.arange(4))
    for ks in ((), (1, 0)):
        with pytest.raises(UserError, match="each k to be 1 or more"):
            run(np.ones((4, 2)), np.zeros(4, int), ks=ks)


def test_an_example_that_a_split_has_twice_does_not_find_its_copy():
    rng = np.random.default_rng(0)
    features, ids = rng.normal(size=(40, 6)).astype(np.float32), np.arange(40, dtype=np.uint64)
    one = Features(features, {"label": rng.integers(4, size=40)}, ids=ids)
    twice = Features(
        np.concatenate([features] * 2), {"label": np.tile(one.label, 2)}, ids=np.tile(ids, 2)
    )
    got = retrieval(twice, train=twice, val=twice, seed=0, similarity=None, ks=(1,))
    want = retrieval(one, train=one, val=one, seed=0, similarity=None, ks=(1,))
    assert got.values["recall@1"] == want.values["recall@1"] < 1
