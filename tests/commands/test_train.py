"""A run from the command line: its folder, its end, its interruptions."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cnnlab import commands

ROOT = Path(__file__).parents[2]
SMALL = [
    "--config=tests/commands/small_digits.py",
    "--config.evaluate.every=10",
    "--config.checkpoint.every=10",
]


def test_run_leaves_a_folder_that_tells_everything(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["train", *SMALL, f"--workdir={run}", "--config.steps=30"]
    assert commands.main(arguments) == 0
    out = capsys.readouterr().out
    assert "baseline: nearest_neighbor" in out
    assert "finished after 30 steps" in out
    for name in (
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "figures/curves.png",
        "figures/learning_rate.png",
        "figures/test/confusion_matrix.png",
        "figures/test/misclassified.png",
    ):
        assert (run / name).stat().st_size > 0, name
    assert list((run / "tensorboard").iterdir())
    result = json.loads((run / "result.json").read_text())
    assert result["examples"] == {"train": 1200, "validation": 237, "test": 360}
    assert result["floors"]["nearest_neighbor"] == {"test/accuracy": 344 / 360}
    assert result["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    (last,) = (v for k, v in result["results"].items() if k.startswith("last"))

    # eval finds the same numbers in the checkpoint.
    assert commands.main(["eval", f"--workdir={run}", "--format=json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated == {"step": 30, **last}
    # A second start has nothing to do, and says so.
    before = (run / "metrics.jsonl").read_bytes()
    assert commands.main(arguments) == 0
    captured = capsys.readouterr()
    assert "baseline: nearest_neighbor" in captured.out
    assert (run / "metrics.jsonl").read_bytes() == before
    # Another config is another run.
    assert commands.main([*arguments, "--config.seed=1"]) == 1
    assert "seed: 0 -> 1" in capsys.readouterr().err


@pytest.mark.slow
def test_eval_reads_any_checkpoint_and_split(tmp_path, capsys):
    run = tmp_path / "run"
    settings = [*SMALL, f"--workdir={run}", "--config.steps=20"]
    assert commands.main(settings) == 0
    capsys.readouterr()
    losses = {}
    for which in ("10", "latest"):
        arguments = ["eval", f"--workdir={run}", f"--checkpoint={which}", "--splits=validation"]
        assert commands.main([*arguments, "--format=json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert all(key == "step" or key.startswith("validation/") for key in found)
        losses[which] = found["validation/loss"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    recorded = {row["step"]: row["validation/loss"] for row in rows if "validation/loss" in row}
    assert losses["10"] == recorded[10]
    assert losses["latest"] == recorded[20]
    assert commands.main(["eval", f"--workdir={run}", "--splits=tset"]) == 1
    assert "did you mean 'test'" in capsys.readouterr().err


def test_diverging_run_stops_and_says_where(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = [*SMALL, f"--workdir={run}", "--config.optimizer.learning_rate=1e30"]
    assert commands.main(arguments) == 1
    err = capsys.readouterr().err
    assert "is not finite; last good checkpoint: none yet" in err
    assert not (run / "result.json").exists()


def test_parameters_that_overflow_are_not_saved(tmp_path, capsys):
    # The first update overflows, every value before it is finite, and a save is due at once.
    run = tmp_path / "run"
    arguments = [
        *SMALL,
        f"--workdir={run}",
        "--config.optimizer.learning_rate=1e38",
        "--config.optimizer.sgd.momentum=0",
        "--config.checkpoint.every=1",
        "--config.data.normalize.std=(1e-3,)",
    ]
    assert commands.main(arguments) == 1
    assert "step 1: 'params/" in capsys.readouterr().err
    assert not list((run / "checkpoints").glob("[0-9]*"))


@pytest.mark.slow
def test_early_stopping_ends_the_run(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = [*SMALL, f"--workdir={run}", "--config.steps=100"]
    stop = ["--config.early_stopping.patience=2", "--config.early_stopping.min_delta=1.0"]
    assert commands.main([*arguments, *stop]) == 0
    result = json.loads((run / "result.json").read_text())
    # The first evaluation sets the mark, and two more do not pass it by 100 %.
    assert (result["reason"], result["steps"]) == ("early stopping", 30)
    assert (run / "checkpoints" / "30").exists()


@pytest.mark.slow
def test_profile_writes_a_trace_of_the_chosen_steps(tmp_path):
    run = tmp_path / "run"
    assert commands.main([*SMALL, f"--workdir={run}", "--config.steps=20", "--profile=5:8"]) == 0
    assert list((run / "profile").rglob("*.xplane.pb"))


# A run that waits in its step 25 for whoever kills it.
HELD = """
import sys, time
from cnnlab import commands
from cnnlab.training.progress import ProgressDisplay
ProgressDisplay.step = lambda self, step: time.sleep(600 * (step == 25))
commands.main(sys.argv[1:])
"""


def start(run, *arguments, program=("launch.py",)):
    command = [sys.executable, *program, *SMALL, f"--workdir={run}", *arguments]
    environment = {**os.environ, "PYTHONPATH": "tests/helpers"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(path, process):
    deadline = time.monotonic() + 600
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the run did not get going"
        time.sleep(0.02)


LONG = ["--config.steps=100000", "--config.log_every=100"]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_signal_saves_and_says_how_to_go_on(tmp_path, number):
    run = tmp_path / "run"
    process = start(run, *LONG)
    wait_for(run / "checkpoints" / "10", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 128 + number, err
    step = max(int(path.name) for path in (run / "checkpoints").iterdir())
    assert f"{number.name}: saved at step {step} of 100000; the same command goes on" in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_result(tmp_path):
    steps = ["--config.steps=40", "--config.ema_decay=0.9", "--config.accumulation=2"]
    killed = start(tmp_path / "killed", *steps, program=("-c", HELD))
    wait_for(tmp_path / "killed" / "checkpoints" / "20", killed)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "killed" / "result.json").exists()
    for name in ("killed", "whole"):
        assert commands.main([*SMALL, f"--workdir={tmp_path / name}", *steps]) == 0

    def records(run):
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        rows = [{k: v for k, v in r.items() if not k.startswith("time/")} for r in rows]
        results = json.loads((run / "result.json").read_text())["results"]
        position = run / "checkpoints" / "40" / "position" / "metadata"
        return rows, results, json.loads(position.read_text())["fingerprint"]

    assert records(tmp_path / "killed") == records(tmp_path / "whole")


def test_second_interrupt_exits_at_once(tmp_path):
    code = (
        "import os, signal, time\n"
        "from cnnlab.training.interruption import interruption\n"
        "with interruption() as flag:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    assert flag and flag.name == 'SIGINT'\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert process.returncode == 130


@pytest.mark.slow
def test_moved_files_are_evaluated_where_they_are_now(tmp_path, capsys):
    rng = np.random.default_rng(0)
    arrays = {"image": rng.integers(0, 255, (40, 8, 8), np.uint8), "label": np.arange(40) % 10}
    parts = ("train", "validation", "test")
    old, new = tmp_path / "old.npz", tmp_path / "elsewhere" / "new.npz"
    np.savez(old, **{f"{part}_{key}": x for part in parts for key, x in arrays.items()})
    arguments = [
        f"--config.data.source=npz:{old}",
        "--config.representation.baselines=()",
        "--config.batch_size=8",
    ]
    run = f"--workdir={tmp_path / 'run'}"
    assert commands.main(["train", *SMALL, *arguments, run, "--config.steps=10"]) == 0
    assert commands.main(["eval", run, "--format=json"]) == 0
    before = capsys.readouterr().out.partition("\n{")[2]
    new.parent.mkdir()
    old.rename(new)
    assert commands.main(["eval", run]) == 1
    assert "there is no such file" in capsys.readouterr().err
    assert commands.main(["eval", run, f"--data_dir={new}", "--format=json"]) == 0
    assert before == capsys.readouterr().out.partition("{")[2] != ""
