"""The loop: an evaluation without the metric, a second interruption, and a changed data set."""

import dataclasses

import pytest
import small

from cnnlab.errors import UserError
from cnnlab.training.interruption import Flag, Interrupted
from cnnlab.training.loop import Loop, _check_data


@pytest.fixture(scope="module")
def built():
    return small.build(small.config())


def loop(built, folder, **changes):
    return Loop(dataclasses.replace(built, config=small.config(**changes)), folder)


def test_an_evaluation_without_the_metric_changes_nothing(built, tmp_path):
    # Names are checked before the first step; an evaluator may not be due at every evaluation.
    made = loop(built, tmp_path)
    made._judge({made.config.checkpoint.best: 0.5})
    assert not made._judge({"a": 1.0})
    assert (made.position.best, made.position.num_bad_evals) == (0.5, 0)


def test_second_interruption_of_an_evaluation_leaves_it_due(tmp_path):
    made = Loop(small.build(small.config()), tmp_path)
    raised = Flag()
    raised.name = "SIGTERM"
    made.position.evaluated = False
    with pytest.raises(Interrupted):
        made._steps(raised)
    again = Loop(small.build(small.config()), tmp_path)
    assert not again.position.evaluated
    assert again.step == 0


def test_changed_data_is_reported(caplog):
    _check_data({"examples": 1200, "seed": 0}, {"examples": 1190, "seed": 0})
    assert "examples was 1200, is 1190" in caplog.text
    assert "seed" not in caplog.text


def test_run_does_not_end_before_it_began(tmp_path):
    small.train(small.config(steps=8), tmp_path)
    with pytest.raises(UserError, match="has 8 steps behind it, the config asks for 4"):
        Loop(small.build(small.config(steps=4)), tmp_path)
