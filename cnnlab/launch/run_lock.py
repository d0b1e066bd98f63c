"""Lock of a run folder, held while a process trains in it, and how the run ended."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.utils.files import damaged, is_locked, open_file, read_json, try_lock, write_json

# `run_folder.open_run` ignores it.
FILE = ".training"
# How the run ended; while it trains, what will hold if it is killed.
ENDING = ".ending.json"
KILLED = {"state": "failed", "reason": "killed without a message: out of memory?"}


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder within this context; create the folder if missing.

    The system frees the lock of a killed process. Without file locks, or in a folder that cannot be
    created, nothing is held.

    Raises:
        UserError: if another process holds it, or its file is a folder, a pipe or a device.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Nothing is written to it, and nothing that a link leads to is emptied.
        file = open_file(folder / FILE, "a")
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EISDIR) and os.path.lexists(folder / FILE):
            raise damaged(folder / FILE, "it is no regular file", "remove it") from None
        # Opening the run reports the error.
        yield
        return
    with file:
        free = True
        with contextlib.suppress(OSError):
            free = try_lock(file)
        if not free:
            raise UserError(
                f"another process works in {folder}: wait for it, stop it, or name another "
                "--workdir"
            )
        try:
            yield
        finally:
            if made and len(list(folder.iterdir())) == 1:
                (folder / FILE).unlink()
                folder.rmdir()


@contextlib.contextmanager
def record_ending(folder: Path, *stops: type[BaseException]) -> Iterator[None]:
    """Record in the run folder how the code within this context ends.

    Args:
        folder: of the run.
        stops: exceptions, beside Ctrl-C, that mean a stop with everything saved; others are
            failures.
    """
    _note(folder, KILLED)
    try:
        yield
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, *stops)):
            _note(folder, {"state": "stopped", "reason": str(error) or "Ctrl-C"})
            raise
        words = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        _note(folder, {"state": "failed", "reason": (words + " ".join(str(error).split()))[:500]})
        raise
    with contextlib.suppress(OSError):
        (folder / ENDING).unlink()


def _note(folder: Path, entries: dict[str, str]) -> None:
    # What fails by a full disk explains it.
    with contextlib.suppress(OSError):
        write_json(folder / ENDING, entries)


def read_ending(folder: Path) -> tuple[str, str]:
    """Return state and reason of a run that is neither finished nor running."""
    try:
        found = read_json(folder / ENDING, {"state": str, "reason": str}, remedy="remove it")
    except FileNotFoundError:
        # Of an earlier version, or killed before its first step.
        return "stopped", "the same command resumes from the last checkpoint"
    return found["state"], found["reason"]


def is_held(folder: Path) -> bool:
    """Return whether a process trains in a folder."""
    try:
        return is_locked(folder / FILE)
    except OSError:
        return False
