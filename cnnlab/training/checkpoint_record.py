"""What is saved beside the arrays of a checkpoint, itself with a checksum.

The arrays have checksums of their own in it: without this one a flipped bit here would resume a run
at another position, or in silence with other numbers.
"""

import json
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.utils.files import fault, read_json

LOG = logging.getLogger("cnnlab")

NUMBER = (float, int)
# Whatever version saved it; entries that have come since are optional.
FORM = {
    "leaves": {str: str},
    "fingerprint": [int],
    "data?": dict,
    "criterion?": (dict, type(None)),
    "since?": int,
    "best?": (*NUMBER, type(None)),
    "mark?": (*NUMBER, type(None)),
    "stale?": int,
    "recorded?": int,
    "evaluated?": bool,
    "seconds?": NUMBER,
    "meter?": (list, type(None)),
}

# Orbax's own note beside a checkpoint: when it was written, and by what.
NOTE = "_CHECKPOINT_METADATA"
NOTE_FORM = {
    **dict.fromkeys(("init_timestamp_nsecs?", "commit_timestamp_nsecs?"), (int, type(None))),
    **dict.fromkeys(("metrics?", "performance_metrics?"), (dict, type(None))),
    **dict.fromkeys(("custom?", "custom_metadata?"), (dict, type(None))),
    "item_handlers?": (dict, str, type(None)),
}


def damaged_notes(folder: Path) -> list[Path]:
    """Return the notes of Orbax that are damaged, with a warning for each."""
    found = []
    for path in sorted(folder.glob(f"[0-9]*/{NOTE}")):
        try:
            read_json(path, NOTE_FORM, remedy="the checkpoint is used without it")
        except UserError as error:
            LOG.warning("%s", error)
            found.append(path)
    return found


def damaged_file(folder: Path) -> str | None:
    """Return the first file of a checkpoint that is empty or no JSON where it has to be."""
    for path in sorted(folder.rglob("*")):
        is_json = path.name in ("_METADATA", "_sharding", "metadata", "array_metadatas")
        if not path.is_file() or path.parent == folder:
            continue
        try:
            if not path.stat().st_size:
                raise ValueError
            if is_json:
                json.loads(path.read_bytes())
        except (ValueError, OSError, RecursionError):
            return str(path.relative_to(folder))
    return None


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON-like record with its checksum."""
    return {**record, "checksum": _checksum(record)}


def unseal(sealed: Any) -> dict[str, Any]:
    """Return the record that was sealed; one of an earlier version has no checksum.

    Raises:
        ValueError: it is not what was saved.
    """
    record = dict(sealed) if isinstance(sealed, Mapping) else {}
    if "checksum" in record:
        if record.pop("checksum") != _checksum(record):
            raise ValueError("its position is not what was saved")
        return record
    known = {name.removesuffix("?") for name in FORM}
    unknown = [f"'{name}' is unknown" for name in record if name not in known]
    wrong = fault(record, FORM) or next(iter(unknown), "")
    if wrong:
        raise ValueError(f"its position is damaged: {wrong}")
    return record


def _checksum(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())
