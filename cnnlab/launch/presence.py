"""Who trains in a folder holds a lock on it: two cannot, and `status` can tell."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cnnlab import locks
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


def is_training(folder: Path) -> bool:
    """Return whether a process is training in a folder."""
    try:
        return locks.is_held(folder / FILE)
    except OSError:
        return False
