"""Pairs: all of them, or half same and half different, each equally likely."""

import itertools

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.evaluators.verification_pairs import draw_pairs

LABELS = np.array([5, 2, 5, 9, 2, 5, 2, 5])


def test_few_rows_give_all_pairs():
    first, second = draw_pairs(LABELS, 28, 0)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == set(
        itertools.combinations(range(8), 2)
    )


def test_drawn_pairs_are_balanced_and_each_is_equally_likely():
    size = 40_000
    small = np.tile(LABELS, 1)
    # More pairs are asked than would be left to draw: the drawing itself is called.
    from cnnlab.evaluators import verification_pairs

    _, number, counts = np.unique(small, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(0)
    for draw, want in (
        (lambda: verification_pairs._same(number, counts, size, rng), True),
        (lambda: verification_pairs._different(number, size, rng), False),
    ):
        first, second = draw()
        assert (first != second).all()
        assert ((small[first] == small[second]) == want).all()
        seen = np.zeros((8, 8))
        np.add.at(seen, (np.minimum(first, second), np.maximum(first, second)), 1)
        pairs = [
            seen[i, j]
            for i, j in itertools.combinations(range(8), 2)
            if (small[i] == small[j]) == want
        ]
        assert len(pairs) == (9 if want else 19)
        # Five deviations of a binomial count.
        mean = size / len(pairs)
        assert np.abs(np.array(pairs) - mean).max() < 5 * mean**0.5
        assert seen.sum() == sum(pairs)


def test_as_many_same_as_different_ones_are_drawn_the_same_for_the_same_seed():
    first, second = draw_pairs(LABELS, 20, 3)
    assert (LABELS[first] == LABELS[second]).tolist() == [True] * 10 + [False] * 10
    again = draw_pairs(LABELS, 20, 3)
    assert (again[0] == first).all() and (again[1] == second).all()
    assert (draw_pairs(LABELS, 20, 4)[0] != first).any()


@pytest.mark.parametrize(
    ("labels", "pairs", "message"),
    [
        (np.arange(5), 100, "two examples of one class; 5 rows have none"),
        (np.zeros(5, int), 100, "two classes or more; all 5 rows have one label"),
        (LABELS, 1, "two pairs or more: pairs=1"),
    ],
)
def test_what_has_no_pairs_is_refused(labels, pairs, message):
    with pytest.raises(UserError, match=message):
        draw_pairs(labels, pairs, 0)
