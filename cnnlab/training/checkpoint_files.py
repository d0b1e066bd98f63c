"""Places and files of checkpoints: a path that Orbax takes as it is, and files safe to open."""

import errno
import os
import re
import stat
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.utils.files import LARGEST_JSON, is_text

# TensorStore takes a backslash for a separator, and etils `gs:/` for a remote place; Orbax takes
# [, ] and * for a pattern; C++ needs UTF-8. Whatever is not known to be literal goes through
# an open file.
LITERAL = re.compile(r"[\w./=,+@~ -]*")
JSON = ("_METADATA", "_sharding", "_CHECKPOINT_METADATA", "metadata", "array_metadatas")


def as_literal(folder: Path) -> tuple[Path, int | None]:
    """Return a path to a folder that Orbax takes literally.

    Returns:
        the path, and the open file that it goes through, to be closed, if one is needed. Unlike
        a symbolic link, a killed process leaves none behind.

    Raises:
        UserError: it needs one, and this system has no paths through open files.
    """
    if is_literal(folder) or not folder.exists():
        return folder, None
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    path = Path(f"/proc/self/fd/{opened}")
    if path.is_dir():
        return path, opened
    os.close(opened)
    raise UserError(
        f"checkpoints cannot be saved in {folder}: name a --workdir of letters and digits"
    )


def is_literal(path: Path) -> bool:
    """Return whether Orbax and TensorStore take a path as it is."""
    return is_text(path) and LITERAL.fullmatch(str(path)) is not None


def check_files(folder: Path) -> None:
    """Raise an `OSError` for a file of a checkpoint whose reading may have no end.

    That is a pipe, a device, or JSON of a size that no run writes.
    """
    for path in folder.rglob("*"):
        try:
            found = path.stat()
        except OSError:  # a link to nothing: whether it matters, its reader says
            continue
        if stat.S_ISDIR(found.st_mode):
            continue
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.ENXIO, f"its {path.relative_to(folder)} is a pipe or a device")
        if path.name in JSON and found.st_size > LARGEST_JSON:
            raise OSError(errno.EFBIG, f"its {path.relative_to(folder)} is too large to be right")
