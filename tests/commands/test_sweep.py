"""Sweeps from the command line: checked first, run in a folder, gone on with, and submitted."""

import functools
import json
import os
import signal
from pathlib import Path

import pytest
import stub_sweep

from cnnlab import commands
from cnnlab.launch import jobs, slurm
from cnnlab.sweeps import report, summary, workers
from cnnlab.sweeps.folder import SweepFolder
from cnnlab.training.writer import read_rows

CONFIG = "--config=tests/commands/small_digits.py"
GRID = "def get_sweep():\n    return [{'optimizer.learning_rate': r} for r in (0.1, 0.2, 0.1)]\n"


@pytest.fixture
def stub(monkeypatch):
    """Let trials be stubs: what is tested is what the command makes of them."""
    monkeypatch.setattr(workers, "work", functools.partial(workers.work, program=stub_sweep.STUB))


@pytest.fixture
def sweep(tmp_path):
    """Return the arguments of a sweep over two points, one of them given twice."""
    (tmp_path / "sweep.py").write_text(GRID)
    return ["sweep", CONFIG, f"--sweep={tmp_path}/sweep.py", f"--workdir={tmp_path}/s"]


@pytest.mark.slow
def test_trial_is_an_ordinary_run(tmp_path, monkeypatch, capsys):
    # Where the config finds what it imports.
    monkeypatch.setenv("PYTHONPATH", "tests/helpers")
    (tmp_path / "sweep.py").write_text(
        "def get_sweep():\n"
        "    return [{'steps': 10, 'model.hidden': (8,), 'representation.baselines': ()}]\n"
    )
    files = [f"--sweep={tmp_path}/sweep.py", f"--workdir={tmp_path}/s"]
    assert commands.main(["sweep", CONFIG, *files, "--config.evaluate.every=10"]) == 0
    err = capsys.readouterr().err
    assert "trial 0000 finished after" in err
    assert "1 trials: 1 finished" in err
    folder = SweepFolder.open(tmp_path / "s")
    (trial,) = folder.trials()
    assert json.loads((trial.path / "result.json").read_text())["steps"] == 10
    config = json.loads((trial.path / "config.json").read_text())
    assert (config["model"]["hidden"], config["evaluate"]["every"]) == ([8], 10)
    assert "finished after 10 steps" in folder.log(trial).read_text()


@pytest.mark.slow
def test_trials_are_compared_by_a_number_of_the_whole_set(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", "tests/helpers")
    (tmp_path / "sweep.py").write_text(
        "def get_sweep():\n    return [{'optimizer.learning_rate': r} for r in (1e-6, 0.2)]\n"
    )
    files = [f"--sweep={tmp_path}/sweep.py", f"--workdir={tmp_path}/s"]
    name = "validation/average_precision"
    changed = [
        "experiment.name=average_precision_objective:Ranked",
        f"checkpoint.best={name}",
        "steps=40",
    ]
    changed += ["evaluate.every=20", "representation.baselines=()"]
    assert commands.main(["sweep", CONFIG, *files, *[f"--config.{x}" for x in changed]]) == 0, (
        capsys.readouterr().err
    )
    found = summary.read(SweepFolder.open(tmp_path / "s"))
    assert (found.metric.name, found.metric.mode) == (name, "max")
    best, other = found.ranked
    assert best.rows[0].trial.overrides == {"optimizer.learning_rate": 0.2}
    assert best.values[0] > other.values[0] + 0.1
    for point in found.ranked:
        rows = read_rows(point.rows[0].trial.path / "metrics.jsonl")
        assert max(row[name] for row in rows if name in row) == point.values[0]


def test_points_run_once_with_the_overrides_and_a_second_start_has_nothing_to_do(
    sweep, stub, tmp_path, capsys
):
    overrides = ["evaluate.splits=('test',)", "checkpoint.best=test/loss", "batch_size=8"]
    assert commands.main([*sweep, *[f"--config.{text}" for text in overrides]]) == 0
    err = capsys.readouterr().err
    assert "1 of 3 points repeat another" in err
    assert "2 trials: 2 finished" in err
    trials = SweepFolder.open(tmp_path / "s").trials()
    given = json.loads((trials[1].path / "config.json").read_text())
    assert {key: value for key, value in given.items() if key.startswith("config.")} == {
        "config.evaluate.splits": '("test",)',
        "config.checkpoint.best": "test/loss",
        "config.batch_size": "8",
        "config.optimizer.learning_rate": "0.2",
    }
    assert commands.main(["sweep", f"--workdir={tmp_path}/s"]) == 0
    assert "started" not in capsys.readouterr().err
    assert commands.main([*sweep, "--config.batch_size=9"]) == 1
    assert "holds another sweep" in capsys.readouterr().err


def test_failed_trials_are_tried_again_on_demand_only(sweep, stub, tmp_path, capsys):
    assert commands.main(sweep) == 0
    capsys.readouterr()
    folder = SweepFolder.open(tmp_path / "s")
    folder.finish(folder.trials()[0], "failed", "the machine was gone")
    assert commands.main(sweep) == 1
    assert "started" not in capsys.readouterr().err
    assert commands.main([*sweep, "--retry_failed"]) == 0
    assert "1 failed trials are tried again" in capsys.readouterr().err


def test_dry_run_prints_the_commands_and_makes_nothing(sweep, tmp_path, capsys):
    assert commands.main([*sweep, "--dry_run", "--repeat=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[3] == (
        f"python launch.py train {CONFIG} --workdir={tmp_path}/s/trials/0003 "
        "--config.optimizer.learning_rate=0.2 --config.seed=1"
    )
    assert not (tmp_path / "s").exists()


def test_search_makes_as_many_trials_as_asked_for(tmp_path, stub, capsys):
    (tmp_path / "sweep.py").write_text(
        "from cnnlab.sweeps.space import draws, log_uniform\n"
        "def get_sweep():\n"
        "    return draws({'optimizer.learning_rate': log_uniform(1e-3, 1)}, count=1)\n"
    )
    arguments = ["sweep", CONFIG, f"--sweep={tmp_path}/sweep.py", f"--workdir={tmp_path}/s"]
    assert commands.main([*arguments, "--search=random", "--trials=3", "--parallel=2"]) == 0
    assert "3 trials: 3 finished" in capsys.readouterr().err
    assert commands.main([*arguments, "--search=random", "--trials=4"]) == 0
    rates = {
        t.overrides["optimizer.learning_rate"] for t in SweepFolder.open(tmp_path / "s").trials()
    }
    assert len(rates) == 4
    assert all(1e-3 <= rate <= 1 for rate in rates)
    assert commands.main([*arguments, "--search=random", "--trials=4", "--dry_run"]) == 1


def test_slurm_gets_one_array_job_for_what_is_left(sweep, tmp_path, monkeypatch, capsys):
    asked = []

    def note(command, folder, resources, **options):
        asked.append((command, folder, resources.partition, options))
        return "17"

    monkeypatch.setattr(slurm, "submit", note)
    options = ["--launcher=slurm", "--partition=main", "--parallel=4"]
    assert commands.main([*sweep, "--repeat=3", *options]) == 0
    assert "job 17: 6 trials" in capsys.readouterr().err
    path = tmp_path / "s"
    command = ["sweep", "--worker", f"--workdir={path}"]
    given = {"count": 6, "parallel": 4, "name": "cnnlab-sweep"}
    assert asked == [(command, path, "main", given)]
    folder = SweepFolder.open(path)
    for trial in folder.trials()[:5]:
        folder.finish(trial, "finished")
    claim = folder.claim(folder.trials()[5])
    assert claim is not None
    with claim:
        assert commands.main(["sweep", f"--workdir={path}", *options]) == 0
    assert "nothing to submit" in capsys.readouterr().err
    assert commands.main(["sweep", f"--workdir={path}", "--launcher=slurm"]) == 0
    assert asked[1][3] == {"count": 1, "parallel": 0, "name": "cnnlab-sweep"}
    assert commands.main(["sweep", f"--workdir={path}", *options, "--nodes=2"]) == 1
    assert "each trial of a sweep is one process" in capsys.readouterr().err
    monkeypatch.setattr(slurm, "script", lambda *_, **options: f"script of {options['count']}")
    assert commands.main(["sweep", f"--workdir={path}", *options, "--dry_run"]) == 0
    assert capsys.readouterr().out == "script of 1\n"


def test_element_of_an_array_job_runs_one_trial(sweep, stub, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "submit", lambda *_, **__: "17")
    assert commands.main([*sweep, "--launcher=slurm"]) == 0
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    worker = ["sweep", "--worker", f"--workdir={tmp_path}/s"]
    assert commands.main(worker) == 0
    assert SweepFolder.open(tmp_path / "s").states() == {0: "waiting", 1: "finished"}
    assert commands.main(worker) == 0
    assert commands.main(worker) == 0
    assert SweepFolder.open(tmp_path / "s").states() == {0: "finished", 1: "finished"}


@pytest.mark.parametrize(
    ("stopped", "status", "noted"),
    [
        (["SIGTERM: saved at step 4 of 9"], 0, ["SIGUSR2: SIGTERM: saved at step 4 of 9"]),
        (["stopped before it had saved"], 128 + signal.SIGUSR2, []),
        ([], 0, ["SIGUSR2: no trial was running"]),
    ],
)
def test_element_that_is_stopped_says_what_its_job_is_to_do(
    stopped, status, noted, sweep, tmp_path, monkeypatch
):
    monkeypatch.setattr(slurm, "submit", lambda *_, **__: "17")
    assert commands.main([*sweep, "--launcher=slurm"]) == 0
    notes: list[str] = []
    monkeypatch.setattr(jobs, "interrupted", notes.append)
    monkeypatch.setattr(workers, "work", lambda *_, **__: workers.Ending("SIGUSR2", stopped))
    assert commands.main(["sweep", "--worker", f"--workdir={tmp_path}/s"]) == status
    assert notes == noted


def test_stopped_sweep_says_that_it_goes_on(sweep, monkeypatch, capsys):
    monkeypatch.setattr(workers, "work", lambda *_, **__: workers.Ending("SIGINT", []))
    assert commands.main(sweep) == 0
    assert "SIGINT: the same command resumes from there" in capsys.readouterr().err


def test_report_is_of_the_sweep_in_the_folder(sweep, stub, tmp_path, monkeypatch):
    assert commands.main(sweep) == 0
    written = []
    monkeypatch.setattr(report, "write", lambda folder, *by: written.append((folder.path, *by)))
    by = ["--metric=validation/loss", "--mode=min"]
    assert commands.main(["sweep", "--report", f"--workdir={tmp_path}/s", *by]) == 0
    assert written == [(tmp_path / "s", "validation/loss", "min")]


ERRORS = {
    "--workdir is missing": ["sweep"],
    "--config is missing": ["sweep", "--workdir=W"],
    "--sweep is missing": ["sweep", "--workdir=W", CONFIG],
    "no sweep file 'nix.py'": ["sweep", "--workdir=W", CONFIG, "--sweep=nix.py"],
    "unexpected argument 'x'": ["sweep", "x"],
    "flag --parallel=0": ["sweep", "--parallel=0"],
    "flag --repeat=0": ["sweep", "--repeat=0"],
    "did you mean 'parallel'": ["sweep", "--paralel=2"],
    "flag --search=tp": ["sweep", "--search=tp"],
    "there is no sweep.json": ["sweep", "--report", "--workdir=W"],
    "no sweep in W": ["sweep", "--worker", "--workdir=W"],
    "--pruner needs --search": ["sweep", "--workdir=W", CONFIG, "--sweep=S", "--pruner=asha"],
    "--trials is missing": ["sweep", "--workdir=W", CONFIG, "--sweep=S", "--search=tpe"],
    "--repeat=2 with --search": [
        "sweep", "--workdir=W", CONFIG, "--sweep=S", "--search=tpe", "--trials=3", "--repeat=2"
    ],
    "'test' is held out": ["sweep", "--workdir=W", CONFIG, "--sweep=S", "--metric=test/accuracy"],
    "point 0 of the sweep": ["sweep", "--workdir=W", CONFIG, "--sweep=S", "--config.batch_size=0"],
    "sets the seed, and so does the sweep": [
        "sweep", "--workdir=W", CONFIG, "--sweep=SEEDS", "--repeat=2"
    ],
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_mistake_is_explained_in_one_line_and_makes_no_folder(message, tmp_path, capsys):
    (tmp_path / "sweep.py").write_text(GRID)
    (tmp_path / "seeds.py").write_text("def get_sweep():\n    return [{'seed': 1}]\n")
    names = {
        "=W": f"={tmp_path}/w",
        "=SEEDS": f"={tmp_path}/seeds.py",
        "=S": f"={tmp_path}/sweep.py",
    }
    arguments = ERRORS[message]
    for name, path in names.items():
        arguments = [path.join(a.split(name)) if a.endswith(name) else a for a in arguments]
    assert commands.main(arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert message.replace(" W", f" {tmp_path}/w") in err
    assert not (tmp_path / "w").exists()


def test_config_file_that_is_not_there_any_more_fails_no_trial(sweep, stub, tmp_path, capsys):
    config = tmp_path / "config.py"
    config.write_text(Path("tests/commands/small_digits.py").read_text())
    arguments = [f"--config={config}" if a == CONFIG else a for a in sweep]
    assert commands.main(arguments) == 0
    folder = SweepFolder.open(tmp_path / "s")
    folder.finish(folder.trials()[0], "waiting")
    config.unlink()
    assert commands.main(["sweep", f"--workdir={tmp_path}/s"]) == 1
    assert "start in the directory" in capsys.readouterr().err
    assert folder.state(folder.trials()[0]) == "waiting"


@pytest.mark.parametrize(
    "path", sorted(Path("configs/sweeps").glob("[!_]*.py")), ids=os.path.basename
)
def test_sweeps_of_this_repository_fit_the_config_they_are_meant_for(path, tmp_path, capsys):
    config = "--config=configs/digits_lenet5.py"
    arguments = [config, f"--sweep={path}", f"--workdir={tmp_path}/s", "--dry_run"]
    assert commands.main(["sweep", *arguments]) == 0
    captured = capsys.readouterr()
    assert "repeat" not in captured.err
    assert len(captured.out.splitlines()) in (6, 9, 20)
