"""Matching by plain loops, and sampling: counts, shares, and independence of the batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.geometry.matching import IGNORED, NEGATIVE, POSITIVE, match, sample


def by_hand(overlap, valid, low, high, best_of_each):
    kinds = []
    columns = [j for j in range(overlap.shape[1]) if valid[j]]
    for row in overlap:
        best = max((row[j] for j in columns), default=-1)
        kinds.append(POSITIVE if best >= high else NEGATIVE if best < low else IGNORED)
    for j in columns if best_of_each else ():
        most = overlap[:, j].max()
        for i in range(len(overlap)):
            if most > 0 and overlap[i, j] == most:
                kinds[i] = POSITIVE
    return kinds


@pytest.mark.parametrize("best_of_each", [False, True])
def test_kinds_equal_plain_loops_on_500_cases_with_ties_and_padding(best_of_each):
    rng = np.random.default_rng(0)
    # Tenths tie often.
    overlap = rng.integers(0, 11, (500, 12, 4)).astype(np.float32) / 10
    overlap *= rng.random((500, 12, 4)) < 0.6
    valid = rng.random((500, 4)) < 0.7
    one = lambda o, v: match(o, v, low=0.3, high=0.7, best_of_each=best_of_each)  # noqa: E731
    got = jax.jit(jax.vmap(one))(overlap, valid)
    for case in range(500):
        expected = by_hand(overlap[case], valid[case], 0.3, 0.7, best_of_each)
        np.testing.assert_array_equal(got.kind[case], expected)
        if valid[case].any():
            chosen = overlap[case][np.arange(12), got.object[case]]
            best = np.where(valid[case], overlap[case], -1).max(1)
            np.testing.assert_array_equal(np.where(best > 0, chosen, best), best)


def test_without_objects_all_are_negative():
    for shape in ((5, 3), (5, 0)):
        got = match(jnp.ones(shape), jnp.zeros(shape[1], bool), low=0.3, high=0.7)
        np.testing.assert_array_equal(got.kind, np.full(5, NEGATIVE))


KIND = np.array([POSITIVE] * 10 + [IGNORED] * 5 + [NEGATIVE] * 85)


def draw(seed, kind=KIND, count=16, share=0.25):
    return jax.tree.map(np.asarray, sample(jax.random.key(seed), jnp.asarray(kind), count, share))


def test_a_sample_has_its_share_of_positives_and_the_rest_negatives():
    got = draw(0)
    assert got.valid.all() and got.positive.sum() == 4
    assert (KIND[got.rows[:4]] == POSITIVE).all() and (KIND[got.rows[4:]] == NEGATIVE).all()
    assert len(set(got.rows)) == 16


@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [(2, 98, (2, 14)), (0, 100, (0, 16)), (60, 3, (4, 3)), (0, 0, (0, 0)), (100, 0, (4, 0))],
)
def test_where_there_are_fewer_the_rows_are_filled_or_not_valid(positives, negatives, expected):
    kind = np.full(100, IGNORED)
    kind[:positives], kind[100 - negatives :] = POSITIVE, np.where(negatives, NEGATIVE, IGNORED)
    got = draw(1, kind)
    there = kind[got.rows[got.valid]]
    assert ((there == POSITIVE).sum(), (there == NEGATIVE).sum()) == expected
    assert got.positive.sum() == expected[0] and len(got.rows) == 16


def test_all_references_of_a_kind_are_drawn_alike():
    drawn = np.concatenate([draw(seed).rows for seed in range(400)])
    counts = np.bincount(drawn, minlength=100)
    # 400 times 4 of 10, and 12 of 85: standard deviations of 10 and 7.
    assert abs(counts[:10] - 160).max() < 40 and abs(counts[15:] - 400 * 12 / 85).max() < 30
    assert counts[10:15].sum() == 0


def test_a_draw_depends_on_its_key_alone():
    keys = jax.random.split(jax.random.key(3), 4)
    kinds = jnp.asarray(np.stack([KIND, KIND[::-1], KIND, KIND]))
    together = jax.vmap(lambda k, x: sample(k, x, 16, 0.25))(keys, kinds)
    alone = sample(keys[1], kinds[1], 16, 0.25)
    np.testing.assert_array_equal(together.rows[1], alone.rows)
    assert (np.asarray(together.rows[0]) != np.asarray(together.rows[2])).any()
