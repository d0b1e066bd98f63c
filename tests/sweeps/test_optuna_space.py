"""Spaces as Optuna has them, and back."""

import json

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from cnnlab.sweeps import optuna_space
from cnnlab.sweeps.space import choice, draws, grid, integers, log_uniform, product, uniform, zipped

SPACE = product(
    draws(
        {
            "a": uniform(0, 1),
            "b": log_uniform(1e-3, 1),
            "c": integers(1, 64, log=True),
            "d": choice((1,), (1, 2), True, "x", "x"),
        },
        count=4,
    ),
    zipped({"e": (1, 2), "f": ((), (3,))}),
)


def test_every_distribution_has_its_counterpart():
    assert optuna_space.unknowns(SPACE) == {
        "a": FloatDistribution(0.0, 1.0),
        "b": FloatDistribution(1e-3, 1.0, log=True),
        "c": IntDistribution(1, 64, log=True),
        "d": CategoricalDistribution(["[1]", "[1, 2]", "true", '"x"']),
        "e & f": CategoricalDistribution(['{"e": 1, "f": []}', '{"e": 2, "f": [3]}']),
    }


@pytest.mark.parametrize("point", SPACE.points())
def test_a_point_is_the_same_again_after_optuna_and_json(point):
    parameters = json.loads(json.dumps(optuna_space.parameters(SPACE, point)))
    assert optuna_space.overrides(SPACE, parameters) == point
    # Repetitions have a seed of their own, which is no part of the space.
    assert optuna_space.parameters(SPACE, {**point, "seed": 3}) == parameters


def test_every_point_is_listed_where_they_are_few():
    small = product(grid({"a": (1, 2)}), draws({"b": integers(0, 2)}, count=1))
    points = [optuna_space.overrides(small, p) for p in optuna_space.every(small)]
    assert points == [{"a": a, "b": b} for a in (1, 2) for b in (0, 1, 2)]
    assert optuna_space.every(SPACE) is None
    assert optuna_space.every(draws({"a": integers(0, 10**6)}, count=1)) is None
