"""The record beside the arrays of a checkpoint: names, shapes, checksums, position of the run.

The arrays have checksums of their own in it: without this one a flipped bit here would resume a run
at another position, or in silence with other numbers.
"""

import json
import logging
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.training.checkpoint_files import JSON
from cnnlab.training.state import leaf_names
from cnnlab.utils.files import LARGEST_JSON, fault, read_file, read_json

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


class Damaged(UserError):
    """A checkpoint that cannot be read back as it was written."""


def layout(state: PyTree) -> dict[str, str]:
    """Return dtype and shape of each array of a state, as `float32[3,2]`."""
    leaves = jax.tree.leaves(state)
    described = (f"{x.dtype}[{','.join(map(str, x.shape))}]" for x in leaves)
    return dict(zip(leaf_names(state), described, strict=True))


def check_layout(saved: Mapping[str, str], like: PyTree, where: Path) -> None:
    """Raise a `UserError` if the checkpoint at a place is of another model or optimizer."""
    wanted = layout(like)
    for name in sorted(saved.keys() ^ wanted.keys()):
        side = "only in the checkpoint" if name in saved else "only in the config's model"
        raise UserError(f"checkpoint {where} is of another model: '{name}' is {side}")
    for name, form in wanted.items():
        if saved[name] != form:
            raise UserError(
                f"checkpoint {where}: '{name}' is {saved[name]}, the config makes it {form}"
            )


def nested(names: Iterable[str]) -> PyTree:
    """Return a tree with these names; where all keys of a node are numbers, it is a list."""
    children: dict[str, list[str]] = {}
    for name in names:
        key, _, rest = name.partition("/")
        children.setdefault(key, []).append(rest)
    if children.keys() == {""}:
        return 0
    tree = {key: nested(rests) for key, rests in children.items()}
    return list(tree.values()) if all(key.isdigit() for key in tree) else tree


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


def unreadable(where: Path, folder: Path, error: Exception) -> Damaged:
    """Return what to raise for a checkpoint that cannot be read.

    Args:
        where: its place, for a person.
        folder: its place on disk, in which the damaged file is looked for.
        error: of the library that reads it.
    """
    reason = str(error).strip().partition("\n")[0].partition(". See full")[0][:200]
    if file := _damaged_file(folder):
        reason = f"its {file} is damaged"
    else:
        reason = f"{type(error).__name__}: {reason}"
    return Damaged(f"checkpoint {where} cannot be read ({reason})")


def _damaged_file(folder: Path) -> str | None:
    """Return the first file of a checkpoint that is empty or no JSON where it has to be."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.parent == folder:
            continue
        try:
            if not path.stat().st_size:
                raise ValueError
            if path.name in JSON:
                json.loads(read_file(path, LARGEST_JSON))
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
