"""Locks on files, which the system frees when their holder is gone, however it went."""

import fcntl
import time
from pathlib import Path
from typing import IO


def take(file: IO) -> bool:
    """Lock an open file until it is closed; return False if another holds it.

    Raises:
        OSError: on a file system without locks.
    """
    while not _locked(file, fcntl.LOCK_EX):
        if not _locked(file, fcntl.LOCK_SH):
            return False
        # Another is only looking (`is_held`), which lasts no time.
        fcntl.flock(file, fcntl.LOCK_UN)
        time.sleep(0.001)
    return True


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock of a file.

    Raises:
        OSError: if the file cannot be opened, or on a file system without locks.
    """
    with path.open() as file:
        return not _locked(file, fcntl.LOCK_SH)


def _locked(file: IO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
