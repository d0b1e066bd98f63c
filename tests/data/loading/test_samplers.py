"""Batches of classes and of pairs: what they hold, and that nothing but seed and step decides."""

import numpy as np
import pytest

from cnnlab.data.loading.samplers import Sampler
from cnnlab.errors import UserError

# Class c has c examples: 1 of class 1, ..., 9 of class 9; shuffled.
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 10), np.arange(1, 10)))


def sampler(name, seed=0, batch_size=12, labels=LABELS, **keywords):
    chosen = {"name": name, name: keywords}
    return Sampler(
        chosen, seed=seed, batch_size=batch_size, count=len(labels), labels=lambda: labels
    )


def test_shuffled_batches_are_epochs():
    made = sampler("shuffle", batch_size=9)
    epoch = np.concatenate([made.batch(step) for step in range(5)])
    np.testing.assert_array_equal(np.sort(epoch), np.arange(45))


def test_a_batch_of_classes_has_as_many_of_each_one_after_another():
    made = sampler("classes", per_class=4)
    for step in range(20):
        blocks = made.batch(step).reshape(3, 4)
        classes = LABELS[blocks]
        assert (classes == classes[:, :1]).all()
        assert len(set(classes[:, 0])) == 3
        assert 1 not in classes  # one example has no positive
        for block, number in zip(blocks, classes[:, 0], strict=True):
            assert len(set(block)) == min(4, number) or number < 4


def test_every_class_is_drawn_as_often():
    made = sampler("classes", batch_size=4, per_class=2)
    drawn = [set(LABELS[made.batch(step)]) for step in range(400)]
    counts = np.array([sum(c in classes for classes in drawn) for c in range(2, 10)])
    # 800 draws of 8 classes: 100 each, give or take 4 standard deviations.
    assert np.abs(counts - 100).max() < 40


def test_half_of_the_pairs_are_of_one_class_and_never_of_one_example():
    made = sampler("pairs", batch_size=10)
    for step in range(20):
        first, second = made.batch(step).T
        assert (LABELS[first] == LABELS[second]).sum() == 5
        assert (first != second).all()


def test_share_of_same_pairs_is_set():
    labels = LABELS[sampler("pairs", same=0.2).batch(0)]
    assert (labels[:, 0] == labels[:, 1]).sum() == 2  # 0.2 of 12, rounded


@pytest.mark.parametrize("name", ["shuffle", "classes", "pairs"])
def test_seed_and_step_decide_alone(name):
    one, other = sampler(name), sampler(name)
    for step in (0, 17, 3):
        np.testing.assert_array_equal(one.batch(step), other.batch(step))
    for step in range(20):  # more than are remembered
        other.batch(step)
    np.testing.assert_array_equal(one.batch(0), other.batch(0))
    assert (one.batch(0) != one.batch(1)).any()
    assert (one.batch(0) != sampler(name, seed=1).batch(0)).any()


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("clases", {}, "did you mean 'classes'"),
        ("classes", {"perclass": 2}, "no argument 'perclass'"),
        ("classes", {"per_class": 5}, "divide batch_size=12"),
        ("classes", {"per_class": 1}, "2 or more"),
        ("classes", {"per_class": 2, "batch_size": 24}, "12 classes of 2, but 8"),
        ("pairs", {"same": 1.5}, "share from 0 to 1"),
        ("pairs", {"labels": np.zeros(9, int)}, "two classes"),
        ("pairs", {"labels": np.arange(9)}, "more than one example"),
    ],
)
def test_what_cannot_be_sampled_is_refused(name, keywords, message):
    with pytest.raises(UserError, match=message):
        sampler(name, **keywords)
