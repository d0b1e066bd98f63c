"""All evaluators are called alike, change nothing that they are given, and refuse broken input."""

import inspect

import numpy as np
import pytest

from cnnlab.evaluators import EVALUATORS, Features
from cnnlab.utils.registry import defaults

OWN = {"few_shot": {"ways": 4, "episodes": 20}, "linear_probe": {"grid": (0.1,)}}


def split(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(5, size=n)
    features = np.eye(5, dtype=np.float32)[labels] + rng.normal(size=(n, 5)).astype(np.float32)
    return Features(features, {"label": labels})


@pytest.mark.parametrize("name", EVALUATORS)
def test_every_hyper_parameter_is_a_keyword_that_a_config_can_hold(name):
    function = EVALUATORS[name]
    own = defaults(function)
    assert {"query", "train", "val", "seed", "similarity"} | set(own) == set(
        inspect.signature(function).parameters
    )
    for value in own.values():
        assert isinstance(value, bool | int | float | str | tuple)


# These need files, and have tests of their own.
@pytest.mark.parametrize("name", sorted(EVALUATORS.keys() - {"listed_pairs", "one_shot_runs"}))
def test_an_evaluator_is_a_pure_function_and_gives_finite_numbers(name):
    splits = [split(n, seed) for seed, n in enumerate((60, 90, 50))]
    before = [(s.features.copy(), s.label.copy()) for s in splits]
    query, train, val = splits
    first, second = (
        EVALUATORS[name](query, train=train, val=val, seed=3, similarity=None, **OWN.get(name, {}))
        for _ in range(2)
    )
    assert first.values == second.values and first.setting == second.setting
    assert all(type(v) is float and np.isfinite(v) for v in first.values.values())
    for s, (features, labels) in zip(splits, before, strict=True):
        assert (s.features == features).all() and (s.label == labels).all()
