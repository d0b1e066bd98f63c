"""A sweep read from its folder: every trial, points over seeds, and what differs between them."""

import statistics

import fabricated_sweep as fabricated
import pytest

from cnnlab.errors import UserError
from cnnlab.sweeps import summary
from cnnlab.sweeps.space import chain, draws, grid, integers, log_uniform, product, uniform

RATE = "optimizer.learning_rate"


def test_rows_have_what_the_folder_says(tmp_path):
    folder = fabricated.sweep(tmp_path / "s")
    done, failed, waiting = folder.trials()
    fabricated.finished(folder, done, [0.5, 0.75, 0.25], test=0.6)
    fabricated.record(failed, [0.25])
    folder.finish(failed, "failed", "boom")
    found = summary.read(folder)
    first, second, third = found.rows
    assert (first.state, first.step, first.value, first.seconds) == ("finished", 20, 0.75, 12.5)
    assert first.curve == [(10, 0.5), (20, 0.75), (30, 0.25)]
    assert first.held_out == {"test/accuracy": 0.6, "test/loss": 0.5}
    assert (second.state, second.reason, second.attempts) == ("failed", "boom", 1)
    assert (second.value, second.counts) == (0.25, False)
    assert (third.state, third.value, third.curve) == ("waiting", None, [])
    with folder.claim(waiting):
        assert summary.read(folder).in_state("running")[0].trial == waiting


def test_points_are_ranked_by_their_mean_over_seeds_the_complete_ones_first(tmp_path):
    folder = fabricated.sweep(tmp_path / "s", repeat=3)
    values = {0: (0.5, 0.6, 0.7), 1: (0.8, 0.6, 0.6), 2: (0.9, 0.9)}
    for trial in folder.trials():
        seed = trial.overrides["seed"]
        if seed < len(values[trial.point]):
            fabricated.finished(folder, trial, [values[trial.point][seed]])
    ranked = summary.read(folder).ranked
    assert [point.number for point in ranked] == [1, 0, 2]
    for point in ranked:
        several = values[point.number]
        assert point.mean == statistics.fmean(several)
        mean = sum(several) / len(several)
        squares = sum((value - mean) ** 2 for value in several)
        assert point.deviation == pytest.approx((squares / (len(several) - 1)) ** 0.5)
    assert summary.Point(0, [], [0.5]).deviation is None


def test_less_is_better_where_it_is(tmp_path):
    folder = fabricated.sweep(tmp_path / "s", metric="validation/loss", mode="min")
    for trial, loss in zip(folder.trials(), (0.5, 0.25, 0.75), strict=True):
        fabricated.record(trial, [loss], metric="validation/loss", test=0.5)
        folder.finish(trial, "finished")
    assert [point.number for point in summary.read(folder).ranked] == [1, 0, 2]
    assert summary.read(folder, "validation/other", "max").rows[0].value == 0.5


def test_a_metric_that_no_trial_has_is_reported_with_those_that_there_are(tmp_path):
    folder = fabricated.sweep(tmp_path / "s")
    assert summary.read(folder, "validation/f1").ranked == []
    fabricated.finished(folder, folder.trials()[0], [0.5])
    with pytest.raises(UserError, match="Reported: train/loss, validation/accuracy"):
        summary.read(folder, "validation/f1")


def test_a_damaged_record_is_that_trials_failure(tmp_path):
    folder = fabricated.sweep(tmp_path / "s")
    first, second, _ = folder.trials()
    for trial in (first, second):
        fabricated.finished(folder, trial, [0.5])
    (first.path / "metrics.jsonl").write_text("{\n{}\n")
    found = summary.read(folder)
    assert summary.read(folder, "validation/other", "max").rows[0].curve == []
    assert found.rows[0].state == "failed"
    assert "line 1 is damaged" in found.rows[0].reason
    assert [point.number for point in found.ranked] == [1]
    (second.path / "metrics.jsonl").write_text("{\n{}\n")
    assert summary.read(folder).ranked == []


@pytest.mark.parametrize(
    "space, expected",
    [
        (draws({"a": log_uniform(1, 9), "b": uniform(1, 9)}, 9), {"a": "log", "b": "linear"}),
        (draws({"a": integers(1, 999, log=True)}, 9), {"a": "log"}),
        (draws({"a": integers(1, 9)}, 9), {"a": "linear"}),
        (grid({"a": (1, 10, 100), "b": (1, 2, 3)}), {"a": "log", "b": "linear"}),
        (grid({"a": (0.0, 0.1, 1.0), "b": (1, 10)}), {"a": "linear", "b": "linear"}),
        (
            grid({"a": ("x", "y"), "b": (1,), "c": (True, False)}),
            {"a": "category", "c": "category"},
        ),
        (grid({"a": ((16,), (128,), (16, 8))}), {"a": "category"}),
    ],
)
def test_parameters_are_what_differs_on_the_scale_it_was_drawn_on(tmp_path, space, expected):
    found = summary.read(fabricated.sweep(tmp_path / "s", space))
    assert {p.name: p.scale for p in found.parameters} == expected


def test_categories_are_in_the_order_of_their_values(tmp_path):
    space = grid({"a": ((128,), (16, 8), (16,)), "b": ("x", 10, 9)})
    found = summary.read(fabricated.sweep(tmp_path / "s", space))
    assert [p.categories for p in found.parameters] == [
        ("(16,)", "(16, 8)", "(128,)"),
        ("9", "10", "x"),
    ]
    assert [p.position((128,) if p.name == "a" else "x") for p in found.parameters] == [2.0, 2.0]


def test_what_a_trial_does_not_set_it_has_of_the_config(tmp_path):
    folder = fabricated.sweep(tmp_path / "s", chain([{}], [{RATE: 0.5}]))
    found = summary.read(folder)
    assert [found.setting(row, RATE) for row in found.rows] == [0.1, 0.5]
    assert found.parameters[0].scale == "linear"


def test_seeds_that_repeat_a_point_are_no_parameter(tmp_path):
    names = [p.name for p in summary.read(fabricated.sweep(tmp_path / "a", repeat=2)).parameters]
    assert names == [RATE]
    seeds = fabricated.sweep(tmp_path / "b", grid({"seed": (1, 2)}))
    assert [p.name for p in summary.read(seeds).parameters] == ["seed"]


def test_labels_are_as_short_as_they_can_be(tmp_path):
    space = product(
        grid({"a.rate": (1, 2), "b.rate": (1, 2), "c.x.decay": (1, 2)}),
        grid({"optimizer.name": ("x", "y"), "seed": (1, 2)}),
    )
    found = summary.read(fabricated.sweep(tmp_path / "s", space))
    assert found.labels() == ["a.rate", "b.rate", "decay", "optimizer.name", "seed"]


def test_values_are_shown_short():
    assert [summary.short(v) for v in (0.123456, 1e-7, 3, True, (1, 2), None)] == [
        "0.1235",
        "1e-07",
        "3",
        "True",
        "(1, 2)",
        "None",
    ]
