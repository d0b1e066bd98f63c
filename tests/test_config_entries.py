"""Entries by name have every argument of what they name, and refuse others."""

import pytest

from cnnlab import config as cfg
from cnnlab.errors import UserError


def test_optimizer_sets_its_own_keywords_and_those_of_all():
    entry = cfg.optimizer("sgd", learning_rate=1, nesterov=True)
    assert (entry.name, entry.learning_rate, entry.sgd.nesterov) == ("sgd", 1.0, True)
    assert cfg.optimizer("sgd").to_dict() == cfg.base().optimizer.to_dict()
    assert entry.keys() == cfg.base().optimizer.keys()


def test_schedule_sets_its_own_keywords_and_the_warm_up():
    entry = cfg.schedule("step", warmup=400, factor=0.5)
    assert (entry.name, entry.warmup, entry.step.factor) == ("step", 400.0, 0.5)
    assert cfg.schedule("cosine").to_dict() == cfg.base().schedule.to_dict()


@pytest.mark.parametrize(
    ("message", "make"),
    {
        "unknown optimizer 'adma'; did you mean 'adam'": lambda: cfg.optimizer("adma"),
        "optimizer 'adam' has no argument 'nesterov'": lambda: cfg.optimizer("adam", nesterov=True),
        "'lr'; did you mean 'learning_rate'": lambda: cfg.optimizer("sgd", lr=0.1),
        "schedule 'step' has no argument 'factr'; did you mean": lambda: cfg.schedule(
            "step", factr=0.1
        ),
        "unknown variant 'b'; there are: first, last": lambda: cfg.variant("b", ("first", "last")),
        "unknown variant 'positives_only'; it is now 'no_negatives'": lambda: cfg.variant(
            "positives_only", {"no_negatives": 1}
        ),
    }.items(),
)
def test_unknown_name_or_argument_is_refused(message, make):
    with pytest.raises(UserError, match=message):
        make()


def test_value_of_another_type_is_refused():
    with pytest.raises(TypeError):
        cfg.optimizer("sgd", learning_rate="fast")


def test_variant_is_its_name_or_its_value():
    assert cfg.variant("a", ("a", "b")) == "a"
    assert cfg.variant("a", {"a": 3}) == 3
