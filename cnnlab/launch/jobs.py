"""Job records `jobs/<id>.json`: command, resources, and how each start of the job ended.

The launcher, the processes of the job and the Slurm epilogue all write to a record; a file lock
prevents lost updates. Imports are few: the epilogue of a killed job has seconds to run.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.utils.files import damaged, lock, read_json, write_json
from cnnlab.utils.registry import whole

FOLDER = "jobs"
FORM = {
    "id": str,
    "starts": {str: {"state?": str, "reason?": str, "counted?": bool, "process?": int}},
    "submitted?": str,
    "count?": int,
}
# Environment of a job's processes: path of the record, number of the start, rank, limit of
# restarts after crashes, and whether standard input closes when the launcher is gone.
RECORD, START, PROCESS, REQUEUES, ATTACHED = (
    f"CNNLAB_JOB_{name}" for name in ("RECORD", "START", "PROCESS", "REQUEUES", "ATTACHED")
)


def record_path(folder: Path, job: str) -> Path:
    """Return the path of the record of a job of a run or sweep folder."""
    return folder / FOLDER / f"{job}.json"


def read(path: Path) -> dict[str, Any]:
    """Return a record, `{}` for a missing or damaged one: the end of a job is always recorded."""
    try:
        return _read(path)
    except (FileNotFoundError, UserError):
        return {}


def _read(path: Path) -> dict[str, Any]:
    remedy = "remove it, the record of a job that no run needs"
    record = read_json(path, FORM, remedy=remedy)
    if not all(whole(number) is not None for number in record["starts"]):
        raise damaged(path, "'starts' are not numbered", remedy)
    return record


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the job records of a run or sweep folder in the order of submission.

    The records of array elements are not among them.

    Raises:
        UserError: if a record is damaged.
    """
    found = [_read(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    submitted = [record for record in found if "submitted" in record]
    return sorted(submitted, key=lambda r: (r["submitted"], len(r["id"]), r["id"]))


def exist(folder: Path) -> bool:
    """Return whether a run or sweep folder has jobs."""
    return any((folder / FOLDER).glob("*.json"))


def now() -> str:
    """Return the local time as records have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def update(
    path: Path, start: int | None = None, *, keep: bool = False, **entries: Any
) -> dict[str, Any]:
    """Add entries to a record, or to one of its starts; return the record.

    Args:
        path: of the record; created if missing.
        start: number of the start that the entries belong to; None: the job itself.
        keep: change nothing if any of these entries exists.
        entries: new entries.

    Raises:
        OSError: if the record cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # A file system without locks: the rare race is the smaller evil.
        with contextlib.suppress(OSError):
            stack.enter_context(lock(path.parent / ".lock"))
        record = read(path) or {"id": path.stem, "starts": {}}
        target = record if start is None else record["starts"].setdefault(str(start), {})
        if not (keep and target.keys() & entries.keys()):
            target.update(entries)
        write_json(path, record)
    return record


def starts(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the starts of a record, first to last."""
    return [entry for _, entry in sorted(record.get("starts", {}).items(), key=lambda x: int(x[0]))]


def _note(*, keep: bool = False, **entries: Any) -> bool:
    path = os.environ.get(RECORD)
    if path:
        with contextlib.suppress(OSError):
            update(Path(path), int(os.environ.get(START, "0")), keep=keep, **entries)
    return bool(path)


def began(nodes: str) -> None:
    """Record that a start of the job has begun, and its nodes."""
    _note(began=now(), nodes=nodes)


def interrupted(message: str) -> bool:
    """Record, within a job, that its run was asked to stop and has saved; return if it is a job.

    Args:
        message: what `Interrupted` says: the signal, and where the state was saved.
    """
    return _note(interrupted=message)


def failed(message: str, *, explained: bool) -> None:
    """Record, within a job, the error that ended this process; the first process to fail is kept.

    Args:
        message: in one line.
        explained: a user error: the same command would fail again.
    """
    process = int(os.environ.get(PROCESS, "0"))
    _note(keep=True, error=message[:500], explained=explained, process=process)
