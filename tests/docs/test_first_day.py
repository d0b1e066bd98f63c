"""docs/first_day.md works as it stands: three jobs of a newcomer, on tiny settings."""

import json
import os
import shlex
import signal
from pathlib import Path

import numpy as np
import pages
import published
import pytest

from cnnlab.commands import main
from cnnlab.training.loop import Loop

FILES, COMMANDS = pages.read("first_day.md")
# By what a command has in it: what makes it small.
TINY = {
    "cifar10_resnet.py": [
        *["--config.steps=2", "--config.model.width=0.125", "--config.batch_size=8"],
        *["--config.evaluate.batch_size=8", "--config.data.train.split=train[:40]"],
        "--config.data.eval.splits.validation=train[40:]",
    ],
    "own/config.py": ["--config.steps=4", "--config.log_every=2", "--config.eval_every=2"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return the folder in which all of the page runs, with CIFAR-10 of two images a batch."""
    folder = tmp_path_factory.mktemp("first_day")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 10, 32, 32, 3)), np.tile(np.arange(10), (6, 1))
    published.cifar10(folder / "data", images, labels, names=list("abcdefghij"))
    return folder


@pytest.fixture
def folder(place, monkeypatch):
    (place / "configs").mkdir(exist_ok=True)
    config = place / "configs/cifar10_resnet.py"
    if not config.exists():
        config.symlink_to(pages.DOCS.parent / "configs/cifar10_resnet.py")
    with pages.written(FILES, place, monkeypatch):
        yield place


def run(command):
    """Run a command on tiny settings."""
    extra = next((more for part, more in TINY.items() if part in command), [])
    return main([*shlex.split(command), *(extra if "--config=" in command else [])])


def of(*words):
    """Return the commands with one of these words in them."""
    return [command for command in COMMANDS if any(word in command for word in words)]


def test_all_commands_of_the_page_are_run_here():
    assert sorted(COMMANDS) == sorted(of("data", "quarter", "runs/own", "widths", "rotation"))
    for name, text in FILES:
        assert len(text.splitlines()) <= 40, name


@pytest.mark.slow
def test_published_files_a_wider_network_and_neighbors_of_a_stage(folder, capfd):
    listed, trained, evaluated = of("data cifar", "quarter")
    for command in (listed, trained, evaluated):
        assert run(command) == 0, capfd.readouterr().err
    assert "stage3" in capfd.readouterr().out


@pytest.mark.slow
def test_a_model_of_ones_own_is_interrupted_resumed_evaluated_and_swept(folder, monkeypatch, capfd):
    first, again, evaluated, status, sweep = of("runs/own", "widths")
    assert first.strip() == again.strip()
    with monkeypatch.context() as patch:
        original = Loop._after_step

        def interrupting(loop, flag):
            if loop.step == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return original(loop, flag)

        patch.setattr(Loop, "_after_step", interrupting)
        assert run(first) == 128 + signal.SIGINT
    assert "the same command goes on from there" in capfd.readouterr().err
    assert run(again) == 0
    assert "resuming at step 2 of 4" in capfd.readouterr().err
    for command in (evaluated, status):
        assert run(command) == 0, capfd.readouterr().err
    assert "finished" in capfd.readouterr().out
    assert len(json.loads(Path("runs/own/environment.json").read_text())["modules"]) == 1
    # The trials themselves are four processes: the long test below.
    assert main([*shlex.split(sweep), *TINY["own/config.py"], "--dry_run"]) == 0
    assert "model.width" in capfd.readouterr().out


@pytest.mark.slow
def test_a_sweep_over_a_model_of_ones_own(folder, capfd):
    (sweep,) = of("widths")
    assert main([*shlex.split(sweep), *TINY["own/config.py"]]) == 0, capfd.readouterr().err
    results = list(Path("runs/widths/trials").glob("*/result.json"))
    assert len(results) == 4


@pytest.mark.slow
def test_an_objective_of_ones_own_trains_on_eight_devices(folder, capfd):
    (command,) = of("rotation")
    assert run(command) == 0, capfd.readouterr().err
    said = capfd.readouterr()
    assert "devices  8 cpu, pmap" in said.err
    result = json.loads(Path("runs/rotation/result.json").read_text())
    assert 0 <= result["results"]["last (step 4)"]["test/accuracy"] <= 1
