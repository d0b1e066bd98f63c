"""Storage of an Optuna study: a journal that processes share and a kill leaves readable.

Optuna's own locks of the journal are files that a killed process leaves behind, taken away by the
clock, and a line cut off by a kill makes every later one unreadable. Here the kernel lets go of
the lock with the process that held it, and who writes next takes the cut-off line away first.

Import this module inside functions: it needs Optuna.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

CHUNK = 65536


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made if missing; wait for it as long as it takes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def mend(path: Path) -> None:
    """Take away what follows the last line break: a record that a kill cut off."""
    with path.open("r+b") as file:
        end = size = file.seek(0, os.SEEK_END)
        while end:
            begin = max(0, end - CHUNK)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end != size:
            file.truncate(end)


class Lock:
    """Lock of a journal, for one writer at a time; what is acquired ends with a whole line."""

    def __init__(self, journal: Path):
        """Name the journal; nothing is opened yet."""
        self._journal = journal
        self._held = ExitStack()

    def acquire(self) -> bool:
        """Wait for the lock and mend the journal."""
        with ExitStack() as stack:
            stack.enter_context(locked(self._journal.with_name(f"{self._journal.name}.lock")))
            mend(self._journal)
            self._held = stack.pop_all()
        return True

    def release(self) -> None:
        """Let the next one write."""
        self._held.close()


def open_storage(path: Path) -> JournalStorage:
    """Return the storage in a file, which is made if missing."""
    return JournalStorage(JournalFileBackend(str(path), lock_obj=cast(Any, Lock(path))))
