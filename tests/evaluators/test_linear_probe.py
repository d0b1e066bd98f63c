"""The linear probe is scikit-learn's at the C that does best on the tuning split."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cnnlab.errors import UserError
from cnnlab.evaluators.features import Features
from cnnlab.evaluators.linear_probe import linear_probe, standardization


def split(n, seed, classes=3, d=12, scale=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    centers = np.random.default_rng(7).normal(size=(classes, d))
    features = (centers[labels] + 1.5 * rng.normal(size=(n, d))) * scale + 5 * scale
    return Features(features.astype(np.float32), {"label": labels * 2 + 1})


def run(query, train, val, **keywords):
    return linear_probe(query, train=train, val=val, seed=0, similarity=None, **keywords)


def peer(train, c):
    mean, deviation = train.features.mean(axis=0), train.features.std(axis=0)
    model = LogisticRegression(C=c, tol=1e-6, max_iter=5000)
    model.fit((train.features - mean) / deviation, train.label)
    return lambda split: (model.predict((split.features - mean) / deviation) == split.label).mean()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.sample(1)
def test_c_is_chosen_on_the_tuning_split_and_the_fit_is_scikit_learns(classes):
    query, train, val = (split(n, s, classes) for n, s in ((400, 0), (60, 1), (300, 2)))
    grid = (10.0, 1e-3, 0.1)
    tuned = {c: peer(train, c)(val) for c in sorted(grid)}
    best = max(tuned, key=lambda c: tuned[c])
    got = run(query, train, val, grid=grid)
    assert got.values["tune_accuracy"] == pytest.approx(tuned[best], abs=1e-12)
    assert got.values["accuracy"] == pytest.approx(peer(train, best)(query), abs=1e-12)
    assert f"C={best:g}" in got.setting
    assert ("end of the grid" in got.setting) == (best != 0.1)
    assert "NOT" not in got.setting


def test_what_is_evaluated_does_not_choose_c():
    query, train = split(300, 0), split(200, 1)
    got = run(query, train, query)
    assert "by a fifth of the bank, bank of 200" in got.setting
    # All 200 are fitted in the end, and the labels of the query change nothing but the accuracy.
    c = float(got.setting.split("C=")[1].split(" ")[0])
    assert got.values["accuracy"] == pytest.approx(peer(train, c)(query), abs=1e-12)
    other = Features(query.features, {"label": query.label[::-1].copy()})
    assert run(other, train, other).setting == got.setting


def with_ids(of):
    return Features(of.features, of.keys, ids=np.arange(len(of), dtype=np.uint64))


def test_rows_that_are_tested_are_not_fitted_on():
    whole, val = with_ids(split(200, 1)), split(90, 2)
    query = whole.take(np.arange(200) >= 160)
    got = run(query, whole, val)
    held = run(query, whole.take(np.arange(200) < 160), val)
    assert got.values == held.values
    assert held.setting.endswith("bank of 160")
    assert got.setting.endswith("bank of 160, 40 rows of this split left out of it")


def test_the_accuracy_on_rows_that_are_fitted_on_is_said_to_be_one():
    whole = with_ids(split(60, 1))
    got = run(whole, whole, split(90, 2))
    assert got.setting.endswith("bank of 60, NOT held out: fitted on rows that it is tested on")


def test_c_is_not_chosen_on_rows_that_are_fitted_on_or_tested():
    whole, query = with_ids(split(200, 1)), split(90, 2)
    part = whole.take(np.arange(200) >= 150)
    assert "by a fifth of the bank, bank of 200" in run(query, whole, part).setting
    # Partly outside the bank: that part chooses.
    got = run(query, whole.take(np.arange(200) < 170), part)
    rest = run(query, whole.take(np.arange(200) < 170), whole.take(np.arange(200) >= 170))
    assert (got.values, got.setting) == (rest.values, rest.setting)
    # Tested in part: the bank is without these, and so is what chooses.
    tested = whole.take(np.arange(200) >= 180)
    assert "bank of 180, 20 rows" in run(tested, whole, part).setting


def test_too_few_iterations_are_said():
    train = split(200, 1)
    got = run(split(50, 0), train, split(50, 2), grid=(10.0,), max_iterations=2)
    assert got.setting.endswith("NOT converged in 2 iterations")


def test_the_scale_of_the_features_changes_nothing():
    a = run(split(100, 0), split(100, 1), split(100, 2))
    b = run(*(split(100, s, scale=1e-4) for s in range(3)))
    assert a.setting == b.setting and a.values == b.values


def test_a_collapsed_embedding_is_no_better_than_the_largest_class():
    rng = np.random.default_rng(0)

    def collapsed(n):
        # The class is there, but below what float32 tells apart in a sum.
        labels = np.append(np.zeros(n // 2, int), rng.integers(1, 4, size=n - n // 2))
        features = np.full((n, 4), 1 / 3, np.float32)
        features[:, 0] = np.nextafter(features[:, 0], np.where(labels % 2, 1, 0), dtype=np.float32)
        return Features(features, {"label": labels})

    got = run(collapsed(100), collapsed(200), collapsed(100))
    assert got.values["accuracy"] == 0.5


def test_features_without_variance_become_zero():
    scale = standardization(np.array([[1, 3], [1, 5]], np.float32))
    assert scale(np.array([[1, 4], [2, 6]], np.float32)).tolist() == [[0, 0], [0, 2]]


def test_what_cannot_be_is_refused():
    train = split(30, 0)
    one = Features(train.features, {"label": np.zeros(30, int)})
    with pytest.raises(UserError, match="two classes or more"):
        run(train, one, split(30, 1))
    for grid in ((), (0.0, 1.0)):
        with pytest.raises(UserError, match="values of C above 0"):
            run(train, train, split(30, 1), grid=grid)
    few = split(4, 3)
    with pytest.raises(UserError, match="cannot choose C on a fifth of 4"):
        run(train, few, train)
