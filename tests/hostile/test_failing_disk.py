"""A disk that fails while a run is written: one line, and the same command goes on afterwards."""

import errno
import os
import shlex

import orbax.checkpoint as ocp
import pytest
from hostile.row import SMALL

from cnnlab import commands
from cnnlab.training.writer import Writer

TRAIN = (
    f"train {SMALL} --config.steps=4 --config.checkpoint.every=2 --workdir=run "
    "--config.representation.baselines=()"
)
# An error, what it says, what fails, and how often that succeeds before.
FAILURES = {
    "EIO: JSON": (errno.EIO, "the disk fails to read or write", os, "fsync", 4),
    "EDQUOT: records": (errno.EDQUOT, "quota", Writer, "write", 1),
    "ENOSPC: a checkpoint": (errno.ENOSPC, "disk is full", ocp.CheckpointManager, "save", 1),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.sample(1)
def test_a_write_that_fails_is_one_line_and_loses_nothing(failure, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    number, words, owner, name, count = FAILURES[failure]
    real, calls = getattr(owner, name), []

    def failing(*args, **options):
        calls.append(name)
        if len(calls) > count:
            raise OSError(number, os.strerror(number), "run/x")
        return real(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, failing)
        assert commands.main(shlex.split(TRAIN)) == 1
    err = capsys.readouterr().err
    said = err[err.index("error: ") :].removesuffix("\n")
    assert words in said
    assert "\n" not in said
    assert commands.main(shlex.split(TRAIN)) == 0
    assert not list(tmp_path.rglob("*tmp*"))
