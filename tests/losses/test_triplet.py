"""The triplet loss against plain loops over triplets, hand-worked ones, and degenerate batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_checks import assert_same_on_eight_devices, finite_differences, largest_array

from cnnlab.errors import UserError
from cnnlab.losses import mining as mining_file
from cnnlab.losses.triplet import triplet

CASES = [
    dict(mining="batch_all"),
    dict(mining="batch_all", distance="cosine", soft=True, chunk=5),
    dict(mining="batch_hard", margin=0.3),
    dict(mining="batch_hard", distance="euclidean", soft=True),
    dict(mining="semi_hard"),
    dict(mining="semi_hard", distance="euclidean", average="all", chunk=4),
    dict(mining="hardest_negative", distance="cosine", margin=0.5),
    dict(mining="hardest_negative", distance="euclidean", average="all"),
]
RNG = np.random.default_rng(0)
LABELS = np.array([2, 0, 1, 0, 2, 0, 1, 3, 0, 2, 1])
MASK = np.array([1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0], bool)
# What the mask hides is NaN.
X = np.where(MASK[:, None], RNG.normal(size=(11, 3)) * [1, 0.5, 0.25], np.nan).astype(np.float32)
every_case = pytest.mark.parametrize("options", CASES, ids=str)


@functools.cache
def compiled(**options):
    """Return the loss with these options, with its gradient; compiled once for all tests."""

    def loss(x, labels, mask):
        return triplet(x, labels, valid=mask, **options)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def matrix(x, distance):
    x = np.asarray(x, np.float64)
    if distance == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return 1 - x @ x.T
    squares = np.square(x[:, None] - x).sum(axis=-1)
    return np.sqrt(squares) if distance == "euclidean" else squares


def triplets(d, labels, mask, mining):
    """Yield anchor, positive and negative of each triplet."""
    kept = np.flatnonzero(mask)
    for a in kept:
        positives = [p for p in kept if p != a and labels[p] == labels[a]]
        negatives = [n for n in kept if labels[n] != labels[a]]
        if not positives or not negatives:
            continue
        nearest = min(negatives, key=lambda n: d[a, n])
        if mining == "batch_hard":
            yield a, max(positives, key=lambda p: d[a, p]), nearest
            continue
        for p in positives:
            if mining == "batch_all":
                yield from ((a, p, n) for n in negatives)
            elif mining == "hardest_negative":
                yield a, p, nearest
            else:
                beyond = [n for n in negatives if d[a, n] > d[a, p]]
                yield (
                    a,
                    p,
                    (
                        min(beyond, key=lambda n: d[a, n])
                        if beyond
                        else max(negatives, key=lambda n: d[a, n])
                    ),
                )


def by_loop(
    x,
    labels,
    mask,
    *,
    mining,
    distance="squared",
    margin=0.2,
    soft=False,
    average="active",
    chunk=0,
):
    del chunk
    d = matrix(x, distance)
    losses = []
    for a, p, n in triplets(d, labels, mask, mining):
        gap = d[a, p] - d[a, n]
        losses.append(np.log1p(np.exp(gap)) if soft else max(gap + margin, 0))
    return sum(losses) / sum(loss > 0 or average == "all" for loss in losses)


def assert_loop(options, labels=LABELS):
    """Compare value and gradient with a loop's."""
    (loss, _), gradient = compiled(**options)(X, labels, MASK)

    def reference(x):
        return by_loop(x, labels, MASK, **options)

    assert loss == pytest.approx(reference(X), rel=2e-6)
    expected = finite_differences(reference, np.where(MASK[:, None], X, 0.5))
    np.testing.assert_allclose(gradient, expected, atol=2e-6)


@every_case
@pytest.mark.sample(4)
def test_value_and_gradient_are_those_of_a_loop_over_triplets(options):
    assert_loop(options)


@pytest.mark.parametrize("options", [CASES[0], dict(mining="semi_hard", soft=True)], ids=str)
def test_by_sorting_it_is_the_same(options, monkeypatch):
    monkeypatch.setattr(mining_file, "MANY", 2)
    compiled.cache_clear()
    assert_loop(options)
    # Classes of two are gone through one by one.
    assert_loop(options, labels=np.array([0, 0, 1, 2, 1, 3, 3, 2, 4, 4, 5]))
    compiled.cache_clear()


def padded(points, labels):
    """Return one-dimensional points, their labels and mask, padded to the size of the others."""
    x = np.zeros((11, 3), np.float32)
    x[: len(points), 0] = points
    return x, np.append(labels, np.zeros(11 - len(labels), int)), np.arange(11) < len(points)


def test_hand_number_and_gradient():
    a, p, n = 0.0, np.sqrt(0.3), -np.sqrt(0.5)
    (loss, stats), gradient = compiled(**CASES[2])(*padded([a, p, n], [0, 0, 1]))
    # The other anchor, p, is farther from n than from a by more than the margin.
    assert loss == pytest.approx(0.1, abs=1e-6)
    expected = [2 * (n - p), 2 * (p - a), 2 * (a - n)]
    np.testing.assert_allclose(gradient[:3, 0], expected, atol=1e-6)
    assert stats.active.compute() == 0.5
    assert stats.positive_distance.compute() == pytest.approx(0.3)
    assert stats.negative_distance.compute() == pytest.approx((0.5 + (p - n) ** 2) / 2)


def test_semi_hard_takes_the_farthest_negative_where_none_is_beyond_the_positive():
    (loss, stats), _ = compiled(**CASES[4])(*padded([0, 3, 1, 2], [0, 0, 1, 1]))
    # From 0: 9 to the positive, 1 and 4 to the negatives; from 3 likewise. From 1: 1 to the
    # positive, 1 and 4 to the negatives, of which the first is not beyond; from 2 likewise.
    assert loss == pytest.approx(9 - 4 + 0.2)
    assert stats.negative_distance.compute() == 4


@every_case
def test_statistics_are_means_over_anchors_of_their_triplets(options):
    (_, stats), _ = compiled(**options)(X, LABELS, MASK)
    d, rows = matrix(X, options.get("distance", "squared")), {}
    margin = 10 if options.get("soft") else options.get("margin", 0.2)
    for a, p, n in triplets(d, LABELS, MASK, options["mining"]):
        rows.setdefault(a, []).append((d[a, p] - d[a, n] + margin > 0, d[a, p], d[a, n]))
    expected = np.mean([np.mean(row, axis=0) for row in rows.values()], axis=0)
    np.testing.assert_allclose([mean.compute() for mean in stats], expected, rtol=1e-5)
    assert stats.active.count == len(rows) == 8


@every_case
def test_without_triplets_loss_and_gradient_are_zero(options):
    nothing = np.zeros(11, bool)
    for labels, mask in ((0 * LABELS, MASK), (np.arange(11), MASK), (LABELS, nothing)):
        (loss, stats), gradient = compiled(**options)(X, labels, mask)
        assert loss == 0
        np.testing.assert_array_equal(gradient, 0)
        assert stats.active.count == 0


@every_case
def test_one_point_for_all_has_a_finite_loss_and_no_gradient(options):
    x = np.where(MASK[:, None], [0.3, -0.7, 0.1], np.nan).astype(np.float32)
    # Zero vectors, for the cosine: no direction, and nothing that turns them.
    for points in (x, 0 * x):
        (loss, _), gradient = compiled(**options)(points, LABELS, MASK)
        expected = np.log(2) if options.get("soft") else options.get("margin", 0.2)
        assert loss == pytest.approx(expected, abs=1e-6)
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


@every_case
def test_duplicated_points_have_finite_gradients(options):
    x = X[[0, 0, 0, 3, 3, 5, 6, 7, 8, 8, 0]]
    (loss, _), gradient = compiled(**options)(x, LABELS, MASK)
    assert loss == pytest.approx(by_loop(x, LABELS, MASK, **options), rel=1e-5)
    assert np.all(np.isfinite(gradient)) and np.any(gradient)


@every_case
def test_an_embedding_that_is_not_a_number_is_not_hidden(options):
    x = np.where(np.arange(11)[:, None] == 1, np.nan, X)
    (loss, _), _ = compiled(**options)(x, LABELS, MASK)
    assert np.isnan(loss)


def test_bfloat16_embeddings_are_compared_in_float32():
    x = jnp.asarray(X, jnp.bfloat16)
    value = compiled(**CASES[0])
    (loss, _), gradient = value(x, LABELS, MASK)
    (expected, _), expected_gradient = value(x.astype(jnp.float32), LABELS, MASK)
    assert loss.dtype == jnp.float32 and gradient.dtype == jnp.bfloat16
    assert loss == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(
        gradient.astype(jnp.float32), expected_gradient, rtol=1e-2, atol=1e-3
    )


@pytest.mark.parametrize(
    "options",
    [
        dict(mining="batch_all"),
        dict(mining="batch_hard", average="all"),
    ],
    ids=str,
)
def test_eight_devices_give_loss_and_gradient_of_one(options):
    labels, mask = RNG.integers(0, 4, 16), np.arange(16) < 13

    def loss(x, labels, mask, axis_name):
        return triplet(x, labels, valid=mask, axis_name=axis_name, **options)

    rows = RNG.normal(size=(16, 4)).astype(np.float32)
    (value, _), _ = assert_same_on_eight_devices(loss, rows, labels, mask)
    assert value > 0


@pytest.mark.parametrize(
    "options",
    [
        dict(mining="batch_all"),
        dict(mining="semi_hard", many=10),
        dict(mining="batch_all", soft=True, chunk=7),
        dict(mining="hardest_negative"),
    ],
    ids=str,
)
def test_no_array_is_larger_than_the_matrix_of_distances(options, monkeypatch):
    many, chunk = options.pop("many", 256), options.get("chunk", 40)
    monkeypatch.setattr(mining_file, "MANY", many)
    x, labels = jnp.ones((40, 2)), np.arange(40) % 3
    gradient = jax.grad(lambda x: triplet(x, jnp.asarray(labels), **options)[0])
    assert largest_array(gradient, x) == chunk * 40


def test_bad_options_are_named():
    for options, message in (
        (dict(mining="semihard"), "unknown mining 'semihard'; did you mean 'semi_hard'"),
        (dict(distance="l3"), "unknown distance 'l3'"),
        (dict(average="none"), "unknown average 'none'"),
        (dict(margin=-1.0), "margin=-1.0"),
        (dict(chunk=-1), "chunk=-1"),
    ):
        with pytest.raises(UserError, match=message):
            triplet(jnp.ones((2, 2)), jnp.arange(2), **options)
