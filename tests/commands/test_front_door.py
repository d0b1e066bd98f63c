"""The command line: commands, flags and config entries that do not exist, and help that does."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnlab import commands
from cnnlab.errors import UserError
from cnnlab.plots import run_figures, style

CONFIG = "--config=configs/digits_lenet5.py"


def run(capsys, *arguments):
    """Return the exit status and what was printed on stdout and stderr."""
    status = commands.main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


ERRORS = {
    "unknown command 'trian'; did you mean 'train'?": ["trian"],
    "--config is missing": ["--workdir=x"],
    "--workdir is missing": [CONFIG],
    "unknown flag --wrkdir; did you mean 'workdir'?": ["train", CONFIG, "--wrkdir=x"],
    "unexpected argument 'x'": ["train", CONFIG, "--workdir=y", "x"],
    "no config 'optimzer'": [CONFIG, "--workdir=x", "--config.optimzer.learning_rate=1"],
    "no config 'learning_rat'": [CONFIG, "--workdir=x", "--config.optimizer.learning_rat=1"],
    "no config 'nonsense'": [CONFIG, "--workdir=x", "--config.nonsense=1"],
    "learning_rate=fast: needs a number": [
        CONFIG,
        "--workdir=x",
        "--config.optimizer.learning_rate=fast",
    ],
    "steps=1.5: needs a whole number": [CONFIG, "--workdir=x", "--config.steps=1.5"],
    "no config file 'configs/digits_lenet.py'; did you mean 'configs/digits_lenet5.py'?": [
        "--config=configs/digits_lenet.py",
        "--workdir=x",
    ],
    "unknown variant 'fast'; there are: default, lsuv, plain": [CONFIG + ":fast", "--workdir=x"],
    "--profile=7: needs two steps": [CONFIG, "--workdir=x", "--profile=7"],
    "--profile=²:³: needs two steps": [CONFIG, "--workdir=x", "--profile=²:³"],
    "--profile=9:7: needs two steps": [CONFIG, "--workdir=x", "--profile=9:7"],
    "data prepare needs one name": ["data", "prepare"],
    "one set at a time, not digits, shapes": ["data", "digits", "shapes"],
    "unknown data set 'digit'; did you mean 'digits'": ["data", "digit"],
    "'sheet' must end in .png": ["data", "digits", "--sheet=sheet"],
    "'x.pdf' must end in .png": ["data", "digits", "--sheet=x.pdf"],
    "'x.xyz' must end in .png": ["config", CONFIG, "--plot=x.xyz"],
    "--samples=0": ["data", "digits", "--samples=0"],
    "--samples=-3": ["data", "digits", "--samples=-3"],
    "--workdir is missing: the folder of the run to evaluate": ["eval"],
    "no run in nowhere": ["eval", "--workdir=nowhere"],
    "--config.init_from.path is missing: the file of weights": ["eval", CONFIG],
    "--workdir is of a run, --config of weights in none": ["eval", CONFIG, "--workdir=x"],
    "the config has no split 'tset'; did you mean 'test'": [
        *("eval", CONFIG, "--config.init_from.path=x", "--splits=tset"),
    ],
    "init_from.path=nothing: there is no such": [
        *("eval", CONFIG, "--config.init_from.path=nothing"),
    ],
}


@pytest.mark.parametrize("message", ERRORS)
def test_mistake_is_explained_in_one_line(message, capsys, tmp_path, monkeypatch):
    arguments = [a.replace("workdir=x", f"workdir={tmp_path}/x") for a in ERRORS[message]]
    status, _, err = run(capsys, *arguments)
    assert status == 1
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: ")
    if message.startswith("no config '"):
        message = message.replace("no config", "the config has no entry")
    assert message in err
    assert not (tmp_path / "x").exists()


def test_near_entry_is_suggested(capsys):
    _, _, err = run(capsys, CONFIG, "--workdir=x", "--config.optimizer.learnin_rate=1")
    assert "did you mean 'learning_rate'?" in err


def test_mistake_in_a_config_file_names_its_line(capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def get_config():\n    return undefined_name\n")
    status, _, err = run(capsys, f"--config={path}", "--workdir=x")
    assert status == 1
    assert "NameError: name 'undefined_name' is not defined" in err
    assert "line 2" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_help_shows_flags_and_examples(command, capsys):
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert "usage: python launch.py" in out
    assert f"flags of '{command}':" in out
    assert "examples:\n  python launch.py" in out


def test_overview_names_every_command(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert all(f"  {name}" in out for name in commands.COMMANDS)


def test_config_prints_overrides_that_a_shell_reads_as_the_same_config(capsys):
    _, out, _ = run(capsys, "config", CONFIG, "--config.optimizer.learning_rate=0.25")
    printed = [line for line in out.splitlines() if line.startswith(("--", "'--"))]
    assert "--config.optimizer.learning_rate=0.25" in printed
    assert """'--config.evaluate.splits=("validation",)'""" in printed
    status, again, err = run(capsys, "config", CONFIG, *shlex.split(" ".join(printed)))
    assert status == 0, err
    assert again == out


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_platform_that_is_not_there_is_named(platform):
    root = Path(__file__).parents[2]
    looks = "import jax; from cnnlab import commands; from cnnlab.commands import models\n"
    looks += "models.run = lambda *_: jax.devices()\nraise SystemExit(commands.main(['models']))"
    environment = {**os.environ, "JAX_PLATFORMS": platform, "XLA_FLAGS": ""}
    found = subprocess.run(
        [sys.executable, "-c", looks],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert found.stderr.startswith(f"error: JAX_PLATFORMS={platform}: jax has no such devices")
    assert found.stderr.count("\n") == 1


def test_config_draws_the_learning_rate(capsys, tmp_path):
    plot = tmp_path / "rate.png"
    status, _, _ = run(capsys, "config", CONFIG, f"--plot={plot}")
    assert status == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    status, _, err = run(
        capsys, "config", CONFIG, f"--plot={plot}", "--config.steps=0", "--config.epochs=2"
    )
    assert status == 1
    assert "needs a length in steps" in err


def test_data_is_listed_and_shown(capsys, tmp_path):
    _, out, _ = run(capsys, "data")
    assert "digits     scikit-learn's 1,797 handwritten digits" in out
    assert "folder:" in out
    sheet = tmp_path / "sheet.png"
    status, out, _ = run(capsys, "data", "digits", "--split=train[:30]", f"--sheet={sheet}")
    assert status == 0
    assert "30 examples" in out
    assert "(8, 8, 1)" in out
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_a_sheet_shows_every_class_of_labels_that_go_round(capsys, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        run_figures, "image_sheet", lambda _, captions, **__: drawn.append(captions)
    )
    monkeypatch.setattr(style, "save", lambda *_: None)
    label = np.arange(80) % 4
    np.savez(tmp_path / "a.npz", image=np.zeros((80, 4, 4, 1), np.uint8), label=label)
    for _ in range(2):
        run(capsys, "data", f"npz:{tmp_path}/a.npz", "--sheet=a.png", "--samples=20")
    # Every fourth would be one class; the draw is the same each time.
    assert len(drawn[0]) == 20 and len(set(drawn[0])) == 4
    assert drawn[0] == drawn[1]


def test_preparing_an_embedded_set_says_where_it_is(capsys, tmp_path):
    status, out, _ = run(capsys, "data", "prepare", "digits", f"--data_dir={tmp_path}")
    assert status == 0
    assert str(tmp_path) in out


@pytest.mark.parametrize(
    ("error", "explanation"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (ValueError("write failed: No space left on device [os_error_code='28']"), "disk is full"),
        (OSError(122, "Disk quota exceeded", "runs/a"), "runs/a: the disk quota is used up"),
        (RuntimeError("UNKNOWN: Disk quota exceeded; write"), "the disk quota is used up"),
        (OSError(30, "Read-only file system"), "the file system is read-only"),
        (OSError(5, "Input/output error"), "the disk fails to read or write"),
        (OSError(24, "Too many open files"), "too many files are open"),
        (OSError(27, "File too large"), "a file is larger than the limit (ulimit -f)"),
        (OSError(36, "File name too long", "a" * 300), "choose a shorter one"),
        (OSError(40, "Too many levels of symbolic links", "a"), "symbolic links lead in a circle"),
        (NotADirectoryError(20, "Not a directory", "a/b"), "a/b: a part of the path is a file"),
        (FileNotFoundError(2, "No such file or directory", "a"), "a: there is no such file"),
        (
            PermissionError(13, "Permission denied", "/data"),
            "/data: permission denied: name a place",
        ),
        (UserError("do this"), "do this"),
    ],
)
def test_failure_that_can_be_mended_is_explained_wherever_it_comes_from(
    error, explanation, capsys, monkeypatch
):
    def fail(*_):
        raise RuntimeError("in a library") from error

    monkeypatch.setattr("cnnlab.commands.models.run", fail)
    status, _, err = run(capsys, "models")
    assert status == 1
    assert explanation in err


def test_bug_is_not_hidden(monkeypatch):
    monkeypatch.setattr("cnnlab.commands.models.run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        commands.main(["models"])


def test_interrupt_outside_training_is_one_line(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cnnlab.commands.models.run", interrupted)
    status, _, err = run(capsys, "models")
    assert status == 130
    assert err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    root = Path(__file__).parents[2]
    help_ = [sys.executable, "launch.py", "--help"]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with subprocess.Popen(help_, cwd=root, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_name_that_the_terminal_cannot_show_is_no_error(tmp_path):
    run = tmp_path / "[red]π:cat:"
    run.mkdir()
    (run / "config.json").write_text("{}")
    (run / "result.json").write_text("{}")
    found = subprocess.run(
        [sys.executable, "launch.py", "status", f"--workdir={run}"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "[red]\\u03c0:cat:" in found.stdout


def test_a_sheet_goes_to_runs_under_the_name_of_the_set(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = {"image": np.zeros((4, 6, 6, 3), np.uint8), "label": [0, 1] * 2}
    np.savez("a b.npz", **rows)
    for name, file in (("digits", "digits_train"), ("npz:./x/../a b.npz", "a_b.npz_train")):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert run(capsys, "data", name, "--samples=2")[0] == 0
        assert (tmp_path / "runs" / f"{file}.png").is_file()
    assert sorted(p.name for p in tmp_path.glob("*.png")) == []


def test_a_sheet_of_sounds_is_refused(capsys, tmp_path):
    status, _, err = run(capsys, "data", "tones", f"--sheet={tmp_path}/sheet.png")
    assert status == 1 and "--sheet draws images, and 'tones' has none" in err
