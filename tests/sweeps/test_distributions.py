"""Distributions: what they draw lies where it should, and is spread as it should be."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.sweeps import distributions as ds


def drawn(distribution, count=2000):
    random = np.random.default_rng(0)
    return [distribution.draw(random) for _ in range(count)]


def test_uniform_is_spread_evenly():
    values = np.array(drawn(ds.uniform(-1, 3)))
    assert values.min() >= -1
    assert values.max() < 3
    shares, _ = np.histogram(values, 4, (-1, 3))
    # Five standard deviations of a binomial count.
    assert np.all(np.abs(shares - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75))


def test_log_uniform_has_every_order_of_magnitude_as_often():
    values = np.array(drawn(ds.log_uniform(1e-4, 1)))
    assert values.min() >= 1e-4
    assert values.max() <= 1
    shares, _ = np.histogram(np.log10(values), 4, (-4, 0))
    assert np.all(np.abs(shares - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75))


def test_integers_have_both_ends():
    values = drawn(ds.integers(2, 5))
    assert set(values) == {2, 3, 4, 5}
    assert {type(value) for value in values} == {int}
    logarithmic = drawn(ds.integers(1, 100, log=True))
    assert min(logarithmic) == 1
    assert max(logarithmic) == 100
    assert np.mean(np.array(logarithmic) <= 10) > 0.5


def test_choice_takes_arguments_or_one_list():
    assert ds.choice("sgd", "adam") == ds.choice(["sgd", "adam"])
    assert set(drawn(ds.choice(1, (2, 3)))) == {1, (2, 3)}
    assert ds.choice(5).values == (5,)


@pytest.mark.parametrize(
    ("message", "make"),
    {
        "first needs to be below": lambda: ds.uniform(2, 1),
        "log_uniform\\(0.0, 1.0\\): both need to be above zero": lambda: ds.log_uniform(0, 1),
        "finite numbers": lambda: ds.uniform(0, float("inf")),
        "uniform\\('a', 1\\)": lambda: ds.uniform("a", 1),
        "whole numbers": lambda: ds.integers(0.5, 2),
        "above zero": lambda: ds.integers(0, 9, log=True),
        "choice needs several": lambda: ds.choice("sgd"),
        "needs a value to choose": lambda: ds.choice([]),
    }.items(),
)
def test_mistake_is_reported(message, make):
    with pytest.raises(UserError, match=message):
        make()
