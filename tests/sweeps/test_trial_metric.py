"""What trials are compared by: never a held-out split, and the same value everywhere."""

import fabricated_sweep as fabricated
import pytest

from cnnlab.errors import UserError
from cnnlab.sweeps import trial_metric
from cnnlab.sweeps.trial_metric import Metric

BASE, ACCURACY = fabricated.BASE, fabricated.ACCURACY


@pytest.mark.parametrize(
    "name, mode, expected",
    [
        ("", "", Metric(ACCURACY, "max", "best")),
        (ACCURACY, "max", Metric(ACCURACY, "max", "best")),
        ("validation/loss", "", Metric("validation/loss", "min", "last")),
        ("validation/f1", "", Metric("validation/f1", "max", "last")),
        ("train/embedding_std", "min", Metric("train/embedding_std", "min", "last")),
    ],
)
def test_the_metric_is_the_configs_unless_it_is_named(name, mode, expected):
    assert trial_metric.metric_for(BASE, name, mode) == expected


@pytest.mark.parametrize(
    "base, name, mode, message",
    [
        ({}, "", "", r"name what trials are compared by, as --metric="),
        (BASE, "test/accuracy", "", r"'test' is held out, .* evaluated while training: validation"),
        (BASE, ACCURACY, "mx", r"--mode=mx; did you mean 'max'\?"),
        (BASE, ACCURACY, "min", "--mode=min contradicts --metric=validation/accuracy"),
        (BASE, "train/loss", "max", "--mode=max contradicts --metric=train/loss"),
        (BASE, "validation/spread", "", "set --mode=max or --mode=min"),
    ],
)
def test_what_cannot_be_compared_by_is_reported(base, name, mode, message):
    with pytest.raises(UserError, match=message):
        trial_metric.metric_for(base, name, mode)


@pytest.mark.parametrize(
    "mode, kind, found",
    [
        ("max", "best", (20, 0.75)),
        ("min", "best", (10, 0.5)),
        ("max", "last", (40, 0.75)),
        ("min", "last", (40, 0.75)),
    ],
)
def test_the_best_is_the_first_of_equals_and_the_last_is_a_number(mode, kind, found):
    nan = float("nan")
    curve = [(10, 0.5), (20, 0.75), (30, float("inf")), (40, 0.75), (50, nan)]
    assert Metric("m", mode, kind).of(curve) == found
    assert Metric("m", mode, kind).of([(10, nan)]) is None
    assert Metric("m", mode, kind).of([]) is None


def test_a_run_is_measured_by_its_records(tmp_path):
    (trial, other, *_) = fabricated.sweep(tmp_path / "s").trials()
    metric = trial_metric.metric_for(BASE)
    assert trial_metric.measured(trial.path, metric) is None
    fabricated.record(trial, [0.5, 0.75, 0.25])
    assert trial_metric.measured(trial.path, metric) == (20, 0.75)
    assert trial_metric.measured(trial.path, Metric(ACCURACY, "max", "last")) == (30, 0.25)
    fabricated.record(other, [0.5], metric="validation/loss")
    with pytest.raises(UserError, match=r"no run reports .*Reported: train/loss, .*/loss, "):
        trial_metric.measured(other.path, metric)


def test_nothing_is_missed_before_the_split_is_evaluated():
    trial_metric.check_reported(ACCURACY, ["train/loss", "time/examples_per_second", "epoch"])
    trial_metric.check_reported(ACCURACY, [ACCURACY])


def test_held_out_numbers_are_those_of_the_state_that_was_chosen(tmp_path):
    (trial, other, broken) = fabricated.sweep(tmp_path / "s").trials()
    fabricated.record(trial, [0.5, 0.75, 0.25], test=0.5)
    result = trial_metric.read_result(trial.path)
    best = {"test/accuracy": 0.5, "test/loss": 0.5}
    last = {"test/accuracy": 0.49, "test/loss": 0.7}
    assert trial_metric.held_out(result, "best", ["validation"]) == best
    assert trial_metric.held_out(result, "last", ["validation"]) == last
    # The last step was the best: there is no row of its own for that.
    fabricated.record(other, [0.5, 0.75], test=0.5)
    assert (
        trial_metric.held_out(trial_metric.read_result(other.path), "best", ["validation"]) == last
    )
    broken.path.mkdir(parents=True)
    (broken.path / "result.json").write_text("{")
    with pytest.raises(UserError, match=r"result\.json is damaged"):
        trial_metric.read_result(broken.path)


@pytest.mark.parametrize("kept, mode", [("max", ""), ("auto", ""), ("auto", "max")])
def test_the_metric_kept_by_counts_at_its_best_however_its_direction_was_set(kept, mode):
    base = {**BASE, "checkpoint.mode": kept}
    assert trial_metric.metric_for(base, ACCURACY, mode) == Metric(ACCURACY, "max", "best")
