"""A process of a job ends as its job script expects, and says why."""

import os
import signal
import subprocess
import sys

import pytest

from cnnlab import commands
from cnnlab.launch import jobs, worker


class Left(Exception):
    """Instead of the end of this process."""


@pytest.fixture
def record(tmp_path, monkeypatch):
    path = jobs.record_path(tmp_path, "7")
    monkeypatch.setenv(jobs.RECORD, str(path))
    monkeypatch.setenv(jobs.START, "0")
    monkeypatch.setenv(jobs.PROCESS, "0")

    def leave(status):
        raise Left(status)

    monkeypatch.setattr(os, "_exit", leave)
    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGUSR2)}
    yield path
    for number, handler in before.items():
        signal.signal(number, handler)


def noted(path):
    return jobs.read(path)["starts"]["0"]


def test_error_that_is_explained_is_noted_as_such(record, capsys):
    with pytest.raises(Left, match="1"):
        worker.run(["trian"])
    assert "error: unknown command" in capsys.readouterr().err
    assert noted(record)["explained"]
    assert "did you mean 'train'?" in noted(record)["error"]


def test_crash_is_noted_and_shown(record, monkeypatch, capsys):
    def crash(_):
        raise ZeroDivisionError("by\nnought")

    monkeypatch.setattr(commands, "main", crash)
    with pytest.raises(Left, match=str(worker.CRASHED)):
        worker.run(["train"])
    assert "Traceback" in capsys.readouterr().err
    assert noted(record)["error"] == "ZeroDivisionError: by nought"
    assert not noted(record)["explained"]


def test_lost_process_is_nothing_a_person_has_to_mend(record, monkeypatch, capsys):
    from cnnlab.commands import parsing
    from cnnlab.errors import LostProcess

    def lose(*_):
        raise LostProcess("process 0 lost another")

    monkeypatch.setattr(parsing, "parse", lose)
    with pytest.raises(Left, match="1"):
        worker.run(["train"])
    assert not noted(record)["explained"]


def test_signals_of_submitit_are_undone_before_the_command_runs(record, monkeypatch):
    """Its handlers would requeue the job before all processes have saved."""

    def look(command):
        assert command == ["train", "--workdir=x"]
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        return 0

    monkeypatch.setattr(commands, "main", look)
    monkeypatch.setenv("SLURM_JOB_NODELIST", "node[1-2]")
    signal.signal(signal.SIGUSR2, signal.default_int_handler)
    with pytest.raises(SystemExit) as left:
        worker.Work(["train", "--workdir=x"])()
    assert left.value.code == 0
    assert noted(record)["nodes"] == "node[1-2]"


def test_only_the_first_task_says_that_it_has_begun(record, monkeypatch):
    monkeypatch.setattr(commands, "main", lambda _: 0)
    monkeypatch.setenv("SLURM_PROCID", "1")
    with pytest.raises(SystemExit):
        worker.Work(["train"])()
    assert not record.exists()


def test_process_stops_when_its_launcher_is_gone():
    program = """
import time
from cnnlab.launch import worker
worker._follow_launcher()
print("following", flush=True)
time.sleep(600)
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as process:
        assert process.stdout.readline() == "following\n"
        process.stdin.close()
        assert process.wait() == -signal.SIGTERM
