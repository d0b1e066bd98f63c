"""A signal ends a run at once, whatever it is doing: it is never a result that is missing."""

import json
import os
import signal

import pytest
import small

from cnnlab import commands
from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.launch import run_lock
from cnnlab.runs import final_report, representation_report, train
from cnnlab.training import run_folder
from cnnlab.training.interruption import Interrupted
from cnnlab.training.loop import Loop


@pytest.fixture
def settings():
    return small.config(
        steps=4,
        evaluate__every=2,
        representation__baselines=("majority",),
        representation__evaluators=cfg.evaluators(knn={"k": 3}),
        representation__controls=("supervised", "fine_tune"),
    )


def signaled(monkeypatch, place, name, number, call=1):
    """Send this process a signal at a call of a function; return the list of its calls."""
    original, calls = getattr(place, name), []

    def sending(*arguments, **keywords):
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), getattr(signal, number))
        return original(*arguments, **keywords)

    monkeypatch.setattr(place, name, sending)
    return calls


def result(run):
    return json.loads((run / "result.json").read_text())


def goes_on(settings, run):
    """The same command comes to the end, with nothing missing."""
    train.train(settings, run, "stop", show=False)
    assert run_folder.is_finished(run)
    assert "missing" not in result(run)
    encoders = {row["encoder"] for row in result(run)["representation"]}
    assert {"supervised", "fine-tuned", "trained (step 4)"} <= encoders


# The run takes 4 steps, the supervised control the next 4, the fine-tuned one the last.
@pytest.mark.parametrize(
    "number, call, where",
    [
        ("SIGTERM", 6, "saved at step 2 of 4"),
        ("SIGTERM", 4, "saved at step 4 of 4"),
        pytest.param("SIGINT", 7, "saved at step 3 of 4", marks=pytest.mark.slow),
        pytest.param("SIGUSR2", 10, "saved at step 2 of 4", marks=pytest.mark.slow),
        pytest.param("SIGTERM", 8, "saved at step 4 of 4", marks=pytest.mark.slow),
    ],
    ids=["control", "last step", "control, Ctrl-C", "fine-tuning", "last step of a control"],
)
@pytest.mark.sample(1)
def test_signal_in_training_ends_the_run_and_its_controls(
    tmp_path, settings, monkeypatch, caplog, number, call, where
):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        steps = signaled(patch, Loop, "_after_step", number, call)
        with pytest.raises(Interrupted, match=rf"^{number}: {where}$"):
            train.train(settings, run, "stop", show=False)
    assert len(steps) == call
    assert "is missing" not in caplog.text
    assert not run_folder.is_finished(run)
    assert run_lock.read_ending(run) == ("stopped", f"{number}: {where}")
    if call > 8:
        goes_on(settings, run)


@pytest.mark.parametrize(
    "place, name",
    [
        (final_report.baselines, "accuracies"),
        (final_report, "evaluate_splits"),
        (final_report.run_figures, "confusion_matrix"),
        pytest.param(representation_report, "embedding_view", marks=pytest.mark.slow),
        pytest.param(train.setup, "make", marks=pytest.mark.slow),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
@pytest.mark.sample(1)
def test_signal_in_the_closing_part_ends_the_run(
    tmp_path, settings, monkeypatch, caplog, place, name
):
    run = tmp_path / "run"
    with settings.unlocked():
        settings.representation.embedding_view.split = "test" if name == "embedding_view" else ""
    with monkeypatch.context() as patch:
        # The first `make` is of the run, before it has anything to report.
        signaled(patch, place, name, "SIGTERM", 2 if name == "make" else 1)
        with pytest.raises(Interrupted, match=r"^SIGTERM: saved at step 4 of 4$"):
            train.train(settings, run, "stop", show=False)
    assert "is missing" not in caplog.text
    assert not run_folder.is_finished(run)
    assert run_lock.read_ending(run) == ("stopped", "SIGTERM: saved at step 4 of 4")


@pytest.mark.parametrize(
    "call", [2, pytest.param(6, marks=pytest.mark.slow)], ids=["training", "control"]
)
def test_command_ends_with_the_same_status_and_message(tmp_path, monkeypatch, capsys, call):
    signaled(monkeypatch, Loop, "_after_step", "SIGTERM", call)
    arguments = ["train", "--config=tests/commands/small_digits.py", f"--workdir={tmp_path / 'r'}"]
    changed = ["--config.steps=4", "--config.representation.controls=('supervised',)"]
    assert commands.main([*arguments, *changed]) == 128 + 15
    said = " ".join(capsys.readouterr().err.split())
    assert "SIGTERM: saved at step 2 of 4; the same command goes on from there" in said
    assert not run_folder.is_finished(tmp_path / "r")


def test_a_first_start_that_cannot_write_leaves_a_folder_for_the_next(tmp_path, monkeypatch):
    plain = small.config(steps=2)

    def full(*_):
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "run", full)
        patch.setattr(train.header, "header", full)
        with pytest.raises(OSError, match="no room"):
            train.train(plain, tmp_path / "run", "stop", show=False)
    assert (tmp_path / "run/checkpoints").is_dir()
    train.train(plain, tmp_path / "run", "stop", show=False)
    assert run_folder.is_finished(tmp_path / "run")


@pytest.mark.parametrize("profile", [(2, 3), (1000, 2000)])
def test_a_trace_of_steps_that_do_not_come_is_refused(tmp_path, profile):
    with pytest.raises(UserError, match="nothing to trace, the run goes from step 0 to 2"):
        train.train(small.config(steps=2), tmp_path / "run", "stop", profile, show=False)
    assert not (tmp_path / "run").exists()
