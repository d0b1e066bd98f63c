"""The journal of a search: one writer at a time, whole lines after any kill."""

import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from cnnlab.sweeps import journal
from cnnlab.utils import files

ROOT = Path(__file__).resolve().parents[2]

# Dies in the middle of a write, with the lock in its hands.
TORN = """
import os, signal, sys
from pathlib import Path
from cnnlab.sweeps.journal import Lock
path = Path(sys.argv[1])
Lock(path).acquire()
with path.open("ab") as file:
    file.write(b'{"op_code": 4, "wor')
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    "text, mended",
    [
        (b"", b""),
        (b"one\n", b"one\n"),
        (b"one\ntw", b"one\n"),
        (b"on", b""),
        (b"one\n" + b"x" * 200_000, b"one\n"),
        (b"x" * 200_000 + b"\n", b"x" * 200_000 + b"\n"),
    ],
)
def test_what_follows_the_last_line_break_is_taken_away(tmp_path, text, mended):
    path = tmp_path / "log"
    path.write_bytes(text)
    journal.mend(path)
    assert path.read_bytes() == mended


def test_a_kill_in_a_write_leaves_a_study_that_reads_and_writes(tmp_path):
    path = tmp_path / "log"
    study = optuna.create_study(storage=journal.open_storage(path), study_name="s")
    study.ask()
    killed = subprocess.run([sys.executable, "-c", TORN, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.read_bytes().endswith(b"\n")
    # Read as it is, and written to without waiting for the lock of the dead.
    again = optuna.load_study(storage=journal.open_storage(path), study_name="s")
    assert len(again.trials) == 1
    again.ask()
    assert [len(s.trials) for s in (study, again)] == [2, 2]


def test_the_lock_is_let_go_where_the_journal_cannot_be_mended(tmp_path):
    path = tmp_path / "log"
    lock = journal.Lock(path)
    with pytest.raises(FileNotFoundError):
        lock.acquire()
    path.touch()
    assert lock.acquire()
    lock.release()
    with files.lock(path.with_name("log.lock")):
        pass
