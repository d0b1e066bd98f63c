"""A trial's process: bound to its cores, and stopped when the sweep is gone."""

import os
import subprocess
import sys

import pytest

from cnnlab.sweeps import child
from cnnlab.sweeps.trial import CHILD

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="binding is Linux's")


@LINUX
def test_command_runs_on_its_cores_with_what_it_was_given():
    core = max(os.sched_getaffinity(0))
    report = "import os, sys; print(os.sched_getaffinity(0), sys.argv[1:])"
    command = [*CHILD, str(os.getpid()), str(core), sys.executable, "-S", "-c", report, "a b", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{{{core}}} ['a b', '']\n"


@LINUX
def test_nothing_starts_when_the_sweep_is_gone_already():
    done = subprocess.run(
        [*CHILD, "-1", "", sys.executable, "-c", "print('started')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (128 + 15, "")


def test_it_becomes_the_command(monkeypatch):
    called = []
    monkeypatch.setattr(child.sys, "platform", "other")
    monkeypatch.setattr(child.os, "execvp", lambda *arguments: called.append(arguments))
    child.main(["1", "", "program", "argument"])
    assert called == [("program", ["program", "argument"])]
