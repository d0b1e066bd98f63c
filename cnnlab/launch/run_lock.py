"""Who trains in a folder holds a lock on it: two cannot, and `status` can tell."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.utils import locks
from cnnlab.utils.files import read_json, write_json

# Not seen as content of the folder: see run_folder.open_run.
FILE = ".training"
# How the run ended, or how it will have ended if it is killed now.
ENDING = ".ending.json"
KILLED = {"state": "failed", "reason": "killed without a word: out of memory?"}


@contextlib.contextmanager
def training(folder: Path) -> Iterator[None]:
    """Within this context, hold the lock of a run folder, which is made if missing.

    A kill frees it too. Where there are no locks, or no folder can be made, nothing is held.

    Raises:
        UserError: if another process holds it.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / FILE).open("w")
    except OSError:
        # What is wrong with the folder is said when the run is opened.
        yield
        return
    with file:
        free = True
        with contextlib.suppress(OSError):
            free = locks.take(file)
        if not free:
            raise UserError(
                f"another process works in {folder}: wait for it, stop it, or name another "
                "--workdir"
            )
        try:
            yield
        finally:
            # An empty folder is left to nobody.
            if made and len(list(folder.iterdir())) == 1:
                (folder / FILE).unlink()
                folder.rmdir()


@contextlib.contextmanager
def ending(folder: Path, *stops: type[BaseException]) -> Iterator[None]:
    """Within this context a run trains: note in its folder how that ends.

    Args:
        folder: of the run.
        stops: exceptions that stop it with all saved; Ctrl-C is one too. Others are failures.
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
    # A full disk is explained by what it has made fail.
    with contextlib.suppress(OSError):
        write_json(folder / ENDING, entries)


def ended(folder: Path) -> tuple[str, str]:
    """Return state and reason of a run that is not finished and does not train."""
    try:
        found = read_json(folder / ENDING, {"state": str, "reason": str}, remedy="remove it")
    except FileNotFoundError:
        # Of an earlier version, or killed before its first step.
        return "stopped", "the same command goes on from the last checkpoint"
    return found["state"], found["reason"]


def is_training(folder: Path) -> bool:
    """Return whether a process is training in a folder."""
    try:
        return locks.is_held(folder / FILE)
    except OSError:
        return False
