"""Two processes cannot train in one folder, and a third can tell."""

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")])
def test_what_is_no_lock_is_refused(tmp_path, make):
    make(tmp_path / run_lock.FILE)
    with pytest.raises(UserError, match="training is damaged"), run_lock.hold(tmp_path):
        pass
    assert not run_lock.is_held(tmp_path)


def test_nothing_that_a_link_leads_to_is_emptied(tmp_path):
    (tmp_path / "mine").write_text("text")
    (tmp_path / run_lock.FILE).symlink_to("mine")
    with run_lock.hold(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "text"


def test_folder_that_cannot_be_made_is_left_to_others_to_explain(tmp_path):
    (tmp_path / "file").touch()
    with run_lock.hold(tmp_path / "file" / "run"):
        pass
