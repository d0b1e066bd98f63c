"""Nothing that is drawn or compared at the end costs a run its numbers."""

import json

import pytest
import small

from cnnlab import commands, evaluators
from cnnlab import config as cfg
from cnnlab.plots import learning_curves, run_figures
from cnnlab.runs import closing_table, final_report, representation_report, tensorboard_summary
from cnnlab.runs.status import state as standing
from cnnlab.runs.train import train
from cnnlab.training import run_folder

EVALUATORS = {"knn": {"k": 3}, "collapse": {}, "verification": {"splits": ("test",)}}


@pytest.fixture
def settings():
    return small.config(
        steps=4,
        representation__baselines=("majority",),
        representation__evaluators=cfg.evaluators(**EVALUATORS),
        representation__controls=("supervised",),
        representation__embedding_view__split="test",
        representation__embedding_view__projector=True,
    )


def result(run):
    return json.loads((run / "result.json").read_text())


def broken(*arguments, **keywords):
    raise RuntimeError("broken on purpose")


PICTURES = {
    "confusion_matrix.png": (run_figures, "confusion_matrix"),
    "misclassified.png": (run_figures, "image_sheet"),
    "curves.png": (learning_curves, "learning_curves"),
    "learning_rate.png": (run_figures, "schedule"),
    "roc.png": (representation_report, "roc_curves"),
    "embedding.png": (representation_report, "embedding_view"),
    "projector": (representation_report, "write_projector"),
    "tensorboard": (tensorboard_summary, "write"),
}


@pytest.mark.slow
def test_a_picture_that_fails_is_one_warning_and_the_others_are_drawn(
    tmp_path, settings, monkeypatch, caplog
):
    run, whole = tmp_path / "run", tmp_path / "whole"
    train(settings, whole, "stop", show=False)
    drawn = {p.relative_to(whole) for p in whole.rglob("*.png") if "supervised" not in p.parts}
    for module, function in PICTURES.values():
        monkeypatch.setattr(module, function, broken)
    train(settings, run, "stop", show=False)
    for name in PICTURES:
        assert any(f"{name} is missing: RuntimeError: broken" in r.message for r in caplog.records)
    assert not [p for p in run.rglob("*.png") if p.relative_to(run) in drawn]
    for entry in ("results", "floors", "report", "representation"):
        assert result(run)[entry] == result(whole)[entry] != {}
    # Nothing of the numbers is missing: the run is done.
    assert run_folder.is_finished(run)


@pytest.mark.slow
def test_numbers_that_fail_cost_no_others_and_come_when_they_can(
    tmp_path, settings, monkeypatch, caplog
):
    run = tmp_path / "run"
    whole = evaluators.EVALUATORS["knn"]

    def broken_in_the_end(query, **given):
        # Tried with stand-ins of two numbers at the start, it works.
        return (whole if query.features.shape[1] == 2 else broken)(query, **given)

    with monkeypatch.context() as patch:
        patch.setitem(evaluators.EVALUATORS, "knn", broken_in_the_end)
        patch.setattr(final_report.baselines, "accuracies", broken)
        train(settings, run, "stop", show=False)
    found = result(run)
    assert found["floors"] == {}
    protocol_names = {row["protocol"] for row in found["representation"]}
    assert protocol_names == {"collapse", "verification"}
    (last,) = found["results"].values()
    assert {"test/accuracy", "validation/accuracy"} <= set(last)
    assert "baselines" in found["missing"]
    assert "pending" not in found
    assert standing(run, {}).name == "finished"
    assert "baselines" in standing(run, {}).reason
    # The same command tries again, and what can be computed now is there.
    train(settings, run, "stop", show=False)
    again = result(run)
    assert again["results"] == found["results"]
    assert "majority" in again["floors"] and "missing" not in again
    assert {"knn", "collapse"} <= {row["protocol"] for row in again["representation"]}


@pytest.mark.slow
def test_killed_while_it_compares_a_run_keeps_its_numbers_and_goes_on(tmp_path, monkeypatch):
    def killed(*arguments, **keywords):
        raise KeyboardInterrupt

    run, settings = tmp_path / "run", small.config(steps=4, representation__baselines=("majority",))
    with monkeypatch.context() as patch:
        patch.setattr(final_report.baselines, "accuracies", killed)
        with pytest.raises(KeyboardInterrupt):
            train(settings, run, "stop", show=False)
    assert result(run)["pending"] and result(run)["results"]
    assert not run_folder.is_finished(run)
    train(settings, run, "stop", show=False)
    assert run_folder.is_finished(run) and result(run)["floors"]


@pytest.mark.slow
def test_a_control_that_diverges_costs_its_rows_alone(tmp_path, settings):
    with settings.unlocked():
        settings.representation.supervised.learning_rate = 1e38
    run = tmp_path / "run"
    train(settings, run, "stop", show=False)
    found = result(run)
    assert "is not finite" in found["missing"]["control 'supervised'"]
    assert found["results"] and found["floors"]
    assert "trained (step 4)" in {row["encoder"] for row in found["representation"]}


@pytest.mark.slow
def test_split_that_cannot_be_evaluated_costs_its_numbers_alone(tmp_path, settings, monkeypatch):
    evaluate = final_report.evaluate_splits

    def without_test(setup, state, splits, **keep):
        return broken() if "test" in splits else evaluate(setup, state, splits, **keep)

    monkeypatch.setattr(final_report, "evaluate_splits", without_test)
    run = tmp_path / "run"
    train(settings, run, "stop", show=False)
    (last,) = result(run)["results"].values()
    assert {name.partition("/")[0] for name in last} == {"validation"}
    assert "broken on purpose" in result(run)["missing"]["'test'"]


@pytest.mark.slow
def test_eval_prints_its_numbers_whatever_fails_to_be_drawn(
    tmp_path, settings, monkeypatch, capsys
):
    run = tmp_path / "run"
    train(settings, run, "stop", show=False)
    (last,) = result(run)["results"].values()
    monkeypatch.setattr(run_figures, "confusion_matrix", broken)
    monkeypatch.setitem(evaluators.EVALUATORS, "knn", broken)
    assert commands.main(["eval", f"--workdir={run}", "--format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in last} == last
    assert {row["protocol"] for row in found["representation"]} == {"collapse", "verification"}


@pytest.mark.slow
def test_file_in_the_place_of_the_figures_costs_the_figures_alone(tmp_path, settings):
    run = tmp_path / "run"
    (run / "jobs").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        numbers = final_report.Closing.numbers
        patch.setattr(
            final_report.Closing,
            "numbers",
            lambda self: ((run / "figures").write_text("no folder"), numbers(self)),
        )
        train(settings, run, "stop", show=False)
    assert run_folder.is_finished(run)
    assert result(run)["results"]
    closing_table.show(run)
