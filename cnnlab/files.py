"""Paths as a person writes them, and files that others may read while they are written."""

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError


def expand(path: str) -> str:
    """Return a path with `~`, `$NAME` and `${NAME}` replaced, unless it exists as it is written.

    Raises:
        UserError: for a variable that is not set, or a user that there is not.
    """
    if os.path.lexists(path):
        return path
    found = os.path.expanduser(os.path.expandvars(path))  # noqa: PTH111
    unset = [
        match[0]
        for match in re.finditer(r"\$(?:([A-Za-z_]\w*)|\{(\w+)\})", path, re.ASCII)
        if (match[1] or match[2]) not in os.environ
    ]
    if unset:
        raise UserError(f"the path '{path}' has {unset[0]}, which is not set")
    if path.startswith("~") and found.startswith("~"):
        raise UserError(f"the path '{path}' begins with the home of a user that there is not")
    return found


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader, or a kill, never meets half a file."""
    # Opened by its name, not by `tempfile`, which would hide it from a person's colleagues.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("w") as file:
            json.dump(value, file, indent=2, sort_keys=True)
            file.write("\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
