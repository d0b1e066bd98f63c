"""kNN is scikit-learn's where that has the same rule, and at chance where nothing is known."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from cnnlab.errors import UserError
from cnnlab.evaluators import similarities
from cnnlab.evaluators.features import Features
from cnnlab.evaluators.knn import knn


def split(n, seed, classes=5, d=8, constant=False):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    centers = np.random.default_rng(99).normal(size=(classes, d))
    features = centers[labels] + 1.5 * rng.normal(size=(n, d))
    if constant:
        features = np.full((n, d), 0.3)
    return Features(features.astype(np.float32), {"label": labels * 3 - 4})


def run(query, train, **keywords):
    given = {"seed": 0, "similarity": None, **keywords}
    return knn(query, train=train, val=train, **given)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (9, 0.07), (20, 0.5), (500, 0.07)])
def test_votes_are_weighted_as_by_scikit_learn(monkeypatch, k, temperature):
    monkeypatch.setattr(similarities.blocks, "__kwdefaults__", {"entries": 2000})
    query, train = split(83, 0), split(150, 1)
    peer = KNeighborsClassifier(
        min(k, 150),
        metric="cosine",
        algorithm="brute",
        weights=lambda distances: np.exp((1 - distances) / temperature),
    ).fit(train.features, train.label)
    got = run(query, train, k=k, temperature=temperature)
    assert got.values["accuracy"] == peer.score(query.features, query.label)
    nearest = KNeighborsClassifier(1, metric="cosine").fit(train.features, train.label)
    assert got.values["accuracy_1"] == nearest.score(query.features, query.label)
    assert f"{min(k, 150)}-NN" in got.setting
    assert ("k=500 is more than there are" in got.setting) == (k == 500)


def test_euclidean_neighbors_count_the_same():
    query, train = split(83, 0), split(150, 1)
    for k in (1, 6):
        want = 0.0
        for x, y in zip(query.features, query.label, strict=True):
            near = np.argsort([((x - b) ** 2).sum() for b in train.features])[:k]
            votes = {c: (train.label[near] == c).sum() for c in np.unique(train.label)}
            best = [c for c in votes if votes[c] == max(votes.values())]
            want += (y in best) / len(best)
        got = run(query, train, k=k, distance="euclidean")
        assert got.values["accuracy"] == pytest.approx(want / 83, rel=1e-12)
        assert "equal votes" in got.setting


def test_without_temperature_each_counts_the_same_and_equal_votes_share_the_point():
    train = Features(
        np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1]], np.float32),
        {"label": np.array([7, 3, 3, 9])},
    )
    query = Features(np.array([[1, 0]], np.float32), {"label": np.array([3])})
    accuracies = [run(query, train, k=k, temperature=0.0).values["accuracy"] for k in (1, 2, 3, 4)]
    assert accuracies == [0, 0.5, 1, 1]
    # At a low temperature the nearest outvotes the two.
    assert run(query, train, k=3, temperature=1e-4).values["accuracy"] == 0


@pytest.mark.parametrize("flag", [False, True])
def test_a_row_does_not_find_itself(flag):
    train = split(90, 3)
    query = Features(train.features.copy(), train.keys) if flag else train
    got = run(query, train, k=500, leave_one_out=flag)
    right = 0
    for i in range(90):
        rest = np.arange(90) != i
        peer = KNeighborsClassifier(
            89, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07)
        ).fit(train.features[rest], train.label[rest])
        right += peer.predict(train.features[i : i + 1])[0] == train.label[i]
    assert got.values["accuracy"] == right / 90
    assert "leave one out" in got.setting
    assert run(query, Features(train.features.copy(), train.keys), k=1).values["accuracy"] == 1


def test_a_collapsed_embedding_is_at_chance_however_the_bank_is_sorted():
    query = split(2000, 0, constant=True)
    for order in ("random", "sorted"):
        train = split(300, 1, constant=True)
        if order == "sorted":
            train = Features(train.features, {"label": np.sort(train.label)})
        values = run(query, train).values
        # Five deviations of a binomial share.
        assert abs(values["accuracy"] - 0.2) < 5 * (0.16 / 2000) ** 0.5
        assert abs(values["accuracy_1"] - 0.2) < 5 * (0.16 / 2000) ** 0.5
    alone = run(query, query).values
    assert abs(alone["accuracy_1"] - 0.2) < 5 * (0.16 / 2000) ** 0.5


def test_a_learned_similarity_takes_the_place_of_the_distance():
    query, train = split(40, 0), split(60, 1)
    got = run(query, train, k=1, similarity=lambda a, b: -np.abs(a[:, None] - b).sum(axis=2))
    peer = KNeighborsClassifier(1, p=1).fit(train.features, train.label)
    assert got.values["accuracy"] == peer.score(query.features, query.label)
    assert "learned similarity" in got.setting


def test_what_cannot_be_is_refused():
    one = split(1, 0)
    with pytest.raises(UserError, match="k of 1 or more"):
        run(split(9, 0), split(9, 1), k=0)
    with pytest.raises(UserError, match="a neighbor: k=20, bank of 1"):
        run(one, one)
    with pytest.raises(UserError, match="needs the same rows: 9 and 8"):
        run(split(9, 0), split(8, 1), leave_one_out=True)


def some(of, rows):
    """Return rows of a split that knows which examples it has."""
    ids = np.arange(len(of), dtype=np.uint64)
    return Features(of.features[rows].copy(), {"label": of.label[rows]}, ids=ids[rows])


@pytest.mark.parametrize("entries", [100, 10**6])
@pytest.mark.parametrize("k", [1, 7, 500])
def test_a_row_that_is_in_the_bank_leaves_itself_out(monkeypatch, entries, k):
    monkeypatch.setattr(similarities.blocks, "__kwdefaults__", {"entries": entries})
    whole = split(90, 3)
    rng = np.random.default_rng(0)
    rows, banked = rng.permutation(90)[:40], rng.permutation(90)[:60]
    query, train = some(whole, rows), some(whole, banked)
    right = []
    for row in rows:
        rest = banked[banked != row]
        weights = lambda d: np.exp((1 - d) / 0.07)  # noqa: E731
        peer = KNeighborsClassifier(min(k, 59), metric="cosine", weights=weights)
        peer.fit(whole.features[rest], whole.label[rest])
        right.append(peer.predict(whole.features[[row]])[0] == whole.label[row])
    got = run(query, train, k=k)
    assert got.values["accuracy"] == np.mean(right)
    shared = len(set(rows) & set(banked))
    assert got.setting.endswith(f"leave one out: {shared} of 40 rows are in the bank")
    # Wholly inside, and twice in the bank.
    assert run(some(whole, banked[:9]), train).setting.endswith(", leave one out")
    twice = some(whole, np.append(banked, banked))
    assert run(query, twice, k=1).values["accuracy"] == run(query, train, k=1).values["accuracy"]


def test_random_features_are_at_chance_also_where_the_query_is_in_the_bank():
    rng = np.random.default_rng(0)
    labels = {"label": rng.integers(25, size=2000)}
    ids = np.arange(2000, dtype=np.uint64)
    train = Features(rng.normal(size=(2000, 50)).astype(np.float32), labels, ids=ids)
    got = run(train.take(ids >= 1500), train, k=1)
    assert abs(got.values["accuracy_1"] - 0.04) < 5 * (0.04 / 500) ** 0.5
