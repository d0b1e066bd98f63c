"""Verification of whole splits and of given pairs, against loops and scikit-learn."""

import itertools
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cnnlab.errors import UserError
from cnnlab.evaluators.features import Features
from cnnlab.evaluators.verification import ten_fold, verification


def split(n, seed, spread=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 6)
    centers = np.random.default_rng(5).normal(size=(6, 8))
    features = centers[labels] + spread * rng.normal(size=(n, 8))
    return Features(features.astype(np.float32), {"label": labels})


def run(query, val, train=None, **keywords):
    given = {"seed": 0, "similarity": None, **keywords}
    return verification(query, train=train or val, val=val, **given)


def pair_scores(split):
    x = split.features / np.linalg.norm(split.features, axis=1, keepdims=True)
    pairs = list(itertools.combinations(range(len(x)), 2))
    same = np.array([split.label[i] == split.label[j] for i, j in pairs])
    return np.array([float(x[i] @ x[j]) for i, j in pairs]), same


def test_all_pairs_of_a_small_split_are_compared():
    query, val = split(60, 0), split(50, 1)
    got = run(query, val)
    scores, same = pair_scores(query)
    assert got.values["auc"] == pytest.approx(roc_auc_score(same, scores), abs=1e-5)
    assert f"{same.sum()} same and {(~same).sum()} different pairs" in got.setting
    tuning, tuning_same = pair_scores(val)
    balanced = [
        ((tuning > t)[tuning_same].mean() + (tuning <= t)[~tuning_same].mean()) / 2
        for t in np.sort(tuning)
    ]
    threshold = np.sort(tuning)[int(np.argmax(balanced))]
    want = ((scores > threshold)[same].mean() + (scores <= threshold)[~same].mean()) / 2
    # The threshold here is at a score, there between two: a few pairs lie between.
    assert got.values["accuracy"] == pytest.approx(want, abs=0.01)
    x, y = got.curves["roc"]
    assert ((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum() == pytest.approx(got.values["auc"])


def test_drawn_pairs_say_the_same_as_all():
    query, val = split(200, 0), split(50, 1)
    everything, drawn = run(query, val), run(query, val, pairs=6000)
    assert "3000 same and 3000 different pairs" in drawn.setting
    for name in ("auc", "eer", "accuracy", "tar@far=0.1"):
        # Five deviations of a share over 3,000.
        assert abs(everything.values[name] - drawn.values[name]) < 5 * 0.5 / 3000**0.5
    assert run(query, val, pairs=6000).values == drawn.values


def test_the_threshold_never_comes_from_the_split_unless_there_is_no_other():
    query, train = split(60, 0), split(50, 1)
    assert run(query, query, train).setting.endswith("threshold by the training split")
    assert run(query, query, train).values == run(query, train).values
    assert run(query, query, query).setting.endswith("threshold by this split itself")


def test_the_threshold_comes_from_rows_that_are_not_tested():
    whole = split(90, 0)
    whole = Features(whole.features, whole.keys, ids=np.arange(90, dtype=np.uint64))
    rows = np.arange(90)
    query, train = whole.take(rows < 50), split(50, 1)
    assert run(query, whole).values == run(query, whole.take(rows >= 50)).values
    assert run(query, whole).setting.endswith("threshold by the tuning split")
    # Nothing of the tuning split is left, or nothing with pairs.
    for val in (query, whole.take(rows < 20), whole.take(rows < 51)):
        assert run(query, val, train).setting.endswith("threshold by the training split")
        assert run(query, val, train).values == run(query, train).values
    assert run(query, query, query.take(rows[:50] < 9)).setting.endswith("by this split itself")


def test_a_collapsed_embedding_is_at_chance():
    one = Features(np.full((90, 3), 0.1, np.float32), {"label": np.repeat(np.arange(9), 10)})
    other = Features(one.features.copy(), one.keys)
    for pairs in (50_000, 500):
        for distance in ("cosine", "euclidean"):
            values = run(one, other, pairs=pairs, distance=distance).values
            assert (values["auc"], values["eer"], values["accuracy"]) == (0.5, 0.5, 0.5)
            assert values["tar@far=0.1"] == 0


def test_a_learned_similarity_is_used_on_all_and_on_drawn_pairs():
    def opposite(a, b):
        return -(a @ b.T)

    query, val = split(60, 0), split(50, 1)
    for pairs in (50_000, 800):
        assert run(query, val, pairs=pairs).values["auc"] > 0.7
        assert run(query, val, pairs=pairs, similarity=opposite).values["auc"] < 0.4


class Pairs(NamedTuple):
    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    fold: np.ndarray


def folds(seed=0, n=10):
    rng = np.random.default_rng(seed)
    data = split(200, 0)
    first = rng.integers(200, size=60 * n)
    second = (first + rng.integers(1, 200, size=60 * n)) % 200
    same = data.label[first] == data.label[second]
    return data, Pairs(first, second, same, np.repeat(np.arange(n), 60))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_over_folds_the_threshold_comes_from_the_others(distance):
    data, pairs = folds()
    got = ten_fold(data.features, *pairs, distance=distance)
    x = data.features.astype(float)
    a, b = x[pairs.first], x[pairs.second]
    if distance == "cosine":
        scores = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    else:
        scores = -((a - b) ** 2).sum(1)
    accuracies = []
    for fold in range(10):
        train = pairs.fold != fold
        falling = np.sort(scores[train])[::-1]
        middles = (falling[1:] + falling[:-1]) / 2
        rest = pairs.same[train]

        def balanced(t, rest=rest, train=train):
            accepted = scores[train] > t
            return accepted[rest].mean() + (~accepted[~rest]).mean()

        threshold = max(middles, key=balanced)
        accuracies.append(((scores > threshold) == pairs.same)[~train].mean())
    assert got.values["accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-12)
    mean = sum(accuracies) / 10
    deviation = (sum((v - mean) ** 2 for v in accuracies) / 9) ** 0.5
    assert got.values["standard_error"] == pytest.approx(deviation / 10**0.5, abs=1e-12)
    assert got.values["auc"] == pytest.approx(roc_auc_score(pairs.same, scores), abs=1e-6)
    assert "10 folds, 600 given pairs" in got.setting


def test_pairs_that_cannot_be_are_refused():
    data, pairs = folds()
    with pytest.raises(UserError, match="two folds or more: 1"):
        ten_fold(data.features, *pairs._replace(fold=np.zeros(600, int)))
    with pytest.raises(UserError, match="of 100"):
        ten_fold(data.features[:100], *pairs)
