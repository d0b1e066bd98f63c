"""Who trains in a folder holds a lock on it: two cannot, and `status` can tell."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from cnnlab.errors import UserError

# Not seen as content of the folder: see run_folder.open_run.
FILE = ".training"


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
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process works in {folder}: wait for it, stop it, or name another "
                "--workdir"
            ) from None
        except OSError:
            pass
        try:
            yield
        finally:
            # An empty folder is left to nobody.
            if made and len(list(folder.iterdir())) == 1:
                (folder / FILE).unlink()
                folder.rmdir()


def is_training(folder: Path) -> bool:
    """Return whether a process is training in a folder."""
    try:
        with (folder / FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False
