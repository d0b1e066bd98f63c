"""Episodes take what they say: classes of one group, and other drawers for support than query."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.evaluators.episodes import EPISODES, independent, koch

# Three alphabets of 4, 6 and 8 characters, each drawn once by 5 drawers of the alphabet.
ROWS = np.array(
    [
        (alphabet, 100 * alphabet + character, 10 * alphabet + drawer)
        for alphabet, characters in enumerate((4, 6, 8))
        for character in range(characters)
        for drawer in range(5)
    ]
)
ROWS = np.random.default_rng(0).permutation(ROWS)
GROUPS, LABELS, DRAWERS = ROWS.T
NONE = np.zeros(len(LABELS), int)


def taken(draw, count=200):
    rng = np.random.default_rng(1)
    return [draw(rng, number) for number in range(count)]


def test_independent_episodes_keep_classes_and_rows_apart():
    episodes = taken(independent(LABELS, NONE, None, 5, 2, 3))
    for support, query in episodes:
        assert support.shape == (5, 2) and query.shape == (5, 3)
        classes = LABELS[support[:, 0]]
        assert len(set(classes.tolist())) == 5
        assert (LABELS[support] == classes[:, None]).all()
        assert (LABELS[query] == classes[:, None]).all()
        assert len(set(support.ravel().tolist()) | set(query.ravel().tolist())) == 25
    # All rows serve as both, and classes of all alphabets meet.
    for part in (0, 1):
        assert len(np.unique(np.concatenate([e[part].ravel() for e in episodes]))) == 90
    assert any(len(set(GROUPS[s[:, 0]].tolist())) == 3 for s, _ in episodes)


def test_groups_without_enough_classes_are_left_out():
    episodes = taken(independent(LABELS, GROUPS, None, 6, 1, 1))
    for support, query in episodes:
        groups = GROUPS[np.concatenate([support.ravel(), query.ravel()])]
        assert len(set(groups.tolist())) == 1
    assert {int(GROUPS[s[0, 0]]) for s, _ in episodes} == {1, 2}


def test_no_drawer_is_in_support_and_query_of_a_class():
    # Two drawings of each character by drawer 0, one by the others.
    rows = np.array([(c, d) for c in range(6) for d in (0, 0, 1, 2)])
    labels, drawers = rows.T
    for support, query in taken(independent(labels, NONE[:24], drawers, 3, 1, 2)):
        for given, asked in zip(support, query, strict=True):
            assert not set(drawers[given]) & set(drawers[asked])


def test_a_class_serves_only_if_any_query_leaves_enough_support():
    # Drawers 0, 0, 0, 1: a query by drawer 0 leaves one example, by drawer 1 three.
    labels, drawers = np.repeat([0, 1], 4), np.tile([0, 0, 0, 1], 2)
    taken(independent(labels, NONE[:8], drawers, 2, 1, 1))
    with pytest.raises(UserError, match=r"2 ways: at most 0 classes .* 3 examples by different"):
        independent(labels, NONE[:8], drawers, 2, 2, 1)
    taken(independent(labels, NONE[:8], None, 2, 2, 1))


def test_kochs_episodes_have_one_drawer_for_the_support_and_one_for_the_query():
    episodes = taken(koch(LABELS, GROUPS, DRAWERS, 4, 1, 1), 900)
    for number, (support, query) in enumerate(episodes):
        assert support.shape == query.shape == (4, 1)
        assert (LABELS[support] == LABELS[query]).all()
        assert len(set(LABELS[support].ravel().tolist())) == 4
        # The alphabets come in turn.
        assert set(GROUPS[support].ravel().tolist()) == {number % 3}
        first, second = set(DRAWERS[support].ravel()), set(DRAWERS[query].ravel())
        assert len(first) == len(second) == 1 and first != second
    assert len({(int(DRAWERS[s[0, 0]]), int(DRAWERS[q[0, 0]])) for s, q in episodes}) == 60


def test_koch_takes_only_drawers_with_enough_characters_in_common():
    # Drawers 0 and 1 share three characters, 2 has drawn one of them.
    rows = np.array([(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 1), (0, 2)])
    labels, drawers = rows.T
    for support, query in taken(koch(labels, NONE[:8], drawers, 3, 1, 1), 20):
        assert {int(drawers[support[0, 0]]), int(drawers[query[0, 0]])} == {0, 1}
        assert sorted(labels[support].ravel()) == [0, 1, 2]
    with pytest.raises(UserError, match=r"4 ways: at most 3 classes .* two drawers in common"):
        koch(labels, NONE[:8], drawers, 4, 1, 1)
    with pytest.raises(UserError, match="at most 0 classes"):
        koch(labels, NONE[:8], NONE[:8], 2, 1, 1)


@pytest.mark.parametrize(
    ("drawers", "shots", "queries"), [(None, 1, 1), (DRAWERS, 2, 1), (DRAWERS, 1, 2)]
)
def test_koch_needs_drawers_and_one_shot(drawers, shots, queries):
    with pytest.raises(UserError, match="'koch' needs a key for the drawer, 1 shot and 1 query"):
        EPISODES["koch"](LABELS, GROUPS, drawers, 4, shots, queries)
