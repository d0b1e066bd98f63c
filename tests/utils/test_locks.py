"""Locks: one holder, freed with the file, and not lost to one who only looks."""

import fcntl
import threading

import pytest

from cnnlab.utils import locks


def test_one_holds_it_until_the_file_is_closed(tmp_path):
    path = tmp_path / "lock"
    with path.open("w") as mine, path.open("w") as other:
        assert locks.take(mine)
        assert not locks.take(other)
        assert locks.is_held(path)
    assert not locks.is_held(path)


def test_who_looks_is_waited_for(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    looking = path.open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.05, looking.close).start()
    with path.open("w") as mine:
        assert locks.take(mine)


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        locks.is_held(tmp_path / "lock")
