"""Files that others may read while they are written."""

import json
import os
import threading
from pathlib import Path
from typing import Any


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
