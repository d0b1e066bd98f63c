"""Two processes cannot train in one folder, and a third can tell."""

import subprocess
import sys

import pytest

from cnnlab.errors import UserError
from cnnlab.launch import run_lock

HOLD = """
import sys, time
from pathlib import Path
from cnnlab.launch import run_lock
with run_lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_second_is_refused_while_the_first_lives(tmp_path):
    folder = tmp_path / "run"
    assert not run_lock.is_held(folder)
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert run_lock.is_held(folder)
        with (
            pytest.raises(UserError, match="another process works in"),
            run_lock.hold(folder),
        ):
            pass
        holder.kill()
    assert not run_lock.is_held(folder)
    with run_lock.hold(folder):
        pass


def test_folder_left_empty_is_removed_and_any_other_kept(tmp_path):
    with run_lock.hold(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a" / "b").exists()
    with run_lock.hold(tmp_path / "c"):
        (tmp_path / "c" / "config.json").touch()
    assert (tmp_path / "c" / "config.json").exists()


def test_folder_that_cannot_be_made_is_left_to_others_to_explain(tmp_path):
    (tmp_path / "file").touch()
    with run_lock.hold(tmp_path / "file" / "run"):
        pass
