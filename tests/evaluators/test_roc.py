"""The curve and what is read off it, against scikit-learn, counts and hand-made rankings."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from cnnlab.errors import UserError
from cnnlab.evaluators.roc import (
    accuracy_at,
    area,
    best_threshold,
    equal_error_rate,
    roc,
    summary,
    true_accepts,
)

RNG = np.random.default_rng(0)
SAME = RNG.random(300) < 0.3
SCORES = {
    "distinct": RNG.normal(size=300) + SAME,
    "tied": np.round(RNG.normal(size=300) + SAME),
    "constant": np.ones(300),
}


@pytest.mark.parametrize("kind", SCORES)
def test_the_area_is_the_share_of_pairs_of_pairs_in_order(kind):
    scores = SCORES[kind]
    curve = roc(scores, SAME)
    won = sum((s > d) + (s == d) / 2 for s in scores[SAME] for d in scores[~SAME])
    assert area(curve) == pytest.approx(won / SAME.sum() / (~SAME).sum(), rel=1e-12)
    assert area(curve) == pytest.approx(roc_auc_score(SAME, scores), rel=1e-12)


@pytest.mark.parametrize("kind", SCORES)
def test_the_curve_has_all_points_but_those_inside_straight_steps(kind):
    scores = SCORES[kind]
    x, y = roc(scores, SAME)
    full_x, full_y, _ = roc_curve(SAME, scores, drop_intermediate=False)
    full = set(zip(full_x.tolist(), full_y.tolist(), strict=True))
    kept = list(zip(x.tolist(), y.tolist(), strict=True))
    assert set(kept) <= full and kept[0] == (0, 0) and kept[-1] == (1, 1)
    for point in full - set(kept):
        # On the straight piece between two that are kept.
        (a, b), (c, d) = next(
            (p, q)
            for p, q in itertools.pairwise(kept)
            if p[0] <= point[0] <= q[0] and p[1] <= point[1] <= q[1]
        )
        assert (a == c == point[0]) or (b == d == point[1])


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("far", [0.0, 0.003, 0.05, 0.1, 0.5, 1.0])
def test_true_accepts_are_the_most_at_any_allowed_threshold(kind, far):
    scores = SCORES[kind]
    most = 0.0
    for threshold in [*scores, np.inf]:
        accepted = scores >= threshold
        if accepted[~SAME].mean() <= far:
            most = max(most, float(accepted[SAME].mean()))
    assert true_accepts(roc(scores, SAME), far) == pytest.approx(most, abs=1e-12)


def test_the_equal_error_rate_of_hand_made_rankings():
    def rate(ranking):
        same = np.array([c == "s" for c in ranking])
        return equal_error_rate(roc(-np.arange(len(ranking), dtype=float), same))

    assert rate("ssdd") == 0
    assert rate("ddss") == 1
    # Two accepted: half the same ones are rejected, half the different ones accepted.
    assert rate("sdsd") == 0.5
    # At the third of six: one of three is wrong on either side.
    assert rate("ssddsd".replace("ddsd", "dsdd")) == pytest.approx(1 / 3)
    # One score for all: on the line from (0, 0) to (1, 1).
    assert equal_error_rate(roc(np.zeros(10), np.arange(10) < 3)) == 0.5


@pytest.mark.parametrize("kind", SCORES)
def test_no_threshold_does_better_than_the_best(kind):
    scores = SCORES[kind]
    best = accuracy_at(best_threshold(scores, SAME), scores, SAME)
    tried = [-np.inf, *(np.unique(scores)), np.inf]
    assert best == pytest.approx(max(accuracy_at(t, scores, SAME) for t in tried), abs=1e-12)


def test_the_threshold_lies_between_the_scores_that_it_parts():
    assert best_threshold(np.array([4.0, 3.0, 1.0]), np.array([True, True, False])) == 2
    # Nothing helps: all are rejected, and half of it is right.
    scores, same = np.array([3.0, 2.0]), np.array([False, True])
    threshold = best_threshold(scores, same)
    assert threshold == 3 and accuracy_at(threshold, scores, same) == 0.5


def test_rates_that_the_pairs_cannot_resolve_are_left_out():
    curve = roc(SCORES["distinct"], SAME)
    values = summary(curve, (0.1, 0.01, 0.001), 100)
    assert list(values) == ["auc", "eer", "tar@far=0.1", "tar@far=0.01"]


def test_one_kind_of_pair_is_refused():
    for same in (np.ones(4, bool), np.zeros(4, bool)):
        with pytest.raises(UserError, match="same class and of different classes"):
            roc(np.arange(4.0), same)
