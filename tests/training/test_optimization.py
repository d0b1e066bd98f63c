"""Errors of schedules and optimizers name the entry of the config."""

import pytest

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.training.freeze import Freeze
from cnnlab.training.optimization import make_optimizer, make_schedule

STEP = {"boundaries": (32_000, 48_000)}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (cfg.schedule("step", **STEP), r"schedule\.step\.boundaries=\(32000, 48000\): 32000 does"),
        (cfg.schedule("cosine", warmup=400), r"schedule\.warmup=400\.0 does not fit .* 100 steps"),
        (cfg.schedule("exponential", every=0), r"schedule\.exponential\.every=0"),
        (cfg.schedule("piecewise", factors=(1,)), r"schedule\.piecewise\.factors=\(1,\): needs as"),
    ],
)
def test_schedule_that_does_not_fit_names_its_entry(entry, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make_schedule(entry, 0.1, 100)


def test_learning_rate_is_an_entry_of_the_optimizer():
    with pytest.raises(UserError, match=r"^optimizer\.learning_rate=-1"):
        make_schedule(cfg.schedule("cosine"), -1.0, 100)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (cfg.optimizer("sgd", momentum=3.0), r"optimizer\.sgd\.momentum=3"),
        (cfg.optimizer("adam", clip_norm=-1), r"optimizer\.clip_norm=-1"),
        (cfg.optimizer("lars", decay_mask="kernel"), r"unknown optimizer\.decay_mask 'kernel'"),
    ],
)
def test_optimizer_that_cannot_be_names_its_entry(entry, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make_optimizer(entry, lambda step: 0.1, Freeze((), ()), ())
