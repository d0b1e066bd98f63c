"""Journal storage of an Optuna study that survives killed processes.

Optuna's lock files outlive a killed process until a timeout, and a line cut by a kill makes every
later line unreadable. Here the kernel frees the lock of a killed process, and the next writer
removes the cut line first.

Import this module inside functions: it needs Optuna.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from cnnlab.utils.files import lock, open_file

CHUNK = 65536


def mend(path: Path) -> None:
    """Take away what follows the last line break: a record that a kill cut off."""
    with open_file(path, "r+b") as file:
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
            stack.enter_context(lock(self._journal.with_name(f"{self._journal.name}.lock")))
            mend(self._journal)
            self._held = stack.pop_all()
        return True

    def release(self) -> None:
        """Let the next one write."""
        self._held.close()


def open_storage(path: Path) -> JournalStorage:
    """Return the storage in a file, which is made if missing.

    Raises:
        OSError: it cannot be written.
    """
    open_file(path, "a").close()
    return JournalStorage(JournalFileBackend(str(path), lock_obj=cast(Any, Lock(path))))
