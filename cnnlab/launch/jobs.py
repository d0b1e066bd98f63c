"""Records of jobs: `jobs/<id>.json` says who was asked to run what, and how each start ended.

The program that submits, the program that runs and what comes after it all write to the record;
a lock keeps them from losing each other's entries. Only the standard library is imported here:
what comes after a killed job has seconds to live.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.utils.files import damaged, read_json, write_json
from cnnlab.utils.registry import whole

FOLDER = "jobs"
FORM = {
    "id": str,
    "starts": {str: {"state?": str, "reason?": str, "counted?": bool, "process?": int}},
    "submitted?": str,
    "count?": int,
}
# Tell the program that runs in a job the job's record, which start of the job it is, which of its
# processes, how often the job may be started again after a crash, and that its standard input
# closes when the launcher is gone.
RECORD, START, PROCESS, REQUEUES, ATTACHED = (
    f"CNNLAB_JOB_{name}" for name in ("RECORD", "START", "PROCESS", "REQUEUES", "ATTACHED")
)


def record_path(folder: Path, job: str) -> Path:
    """Return where the record of a job of this run or sweep folder is."""
    return folder / FOLDER / f"{job}.json"


def read(path: Path) -> dict[str, Any]:
    """Return a record, `{}` where there is none that can be read: a job's end is to be noted."""
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
    """Return the jobs of a run or sweep folder in the order of their submission.

    Elements of an array have records of their own, which are not among them.

    Raises:
        UserError: if a record is damaged.
    """
    found = [_read(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    submitted = [record for record in found if "submitted" in record]
    return sorted(submitted, key=lambda r: (r["submitted"], len(r["id"]), r["id"]))


def exist(folder: Path) -> bool:
    """Return whether there are jobs of a run or sweep folder."""
    return any((folder / FOLDER).glob("*.json"))


def now() -> str:
    """Return the time of day as records have it: for people, never compared."""
    return time.strftime("%Y-%m-%dT%H:%M:%S")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with (path.parent / ".lock").open("w") as file:
        # A file system without locks: the rare race is the smaller evil.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def update(
    path: Path, start: int | None = None, *, keep: bool = False, **entries: Any
) -> dict[str, Any]:
    """Add entries to a record, or to one of its starts; return the record.

    Args:
        path: of the record; made if missing.
        start: which start of the job the entries are about; None: the job itself.
        keep: keep what is there if any of these entries is.
        entries: replace those there are.

    Raises:
        OSError: if the record cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        record = read(path) or {"id": path.stem, "starts": {}}
        target = record if start is None else record["starts"].setdefault(str(start), {})
        if not (keep and target.keys() & entries.keys()):
            target.update(entries)
        write_json(path, record)
    return record


def starts(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the starts of a record, first to last."""
    return [entry for _, entry in sorted(record.get("starts", {}).items(), key=lambda x: int(x[0]))]


def _note(*, keep: bool = False, **entries: Any) -> None:
    path = os.environ.get(RECORD)
    if path:
        with contextlib.suppress(OSError):
            update(Path(path), int(os.environ.get(START, "0")), keep=keep, **entries)


def began(nodes: str) -> None:
    """Note that a start of the job has begun, and where."""
    _note(began=now(), nodes=nodes)


def interrupted(message: str) -> None:
    """Note, if this is a job, that its run was asked to stop and has saved.

    Args:
        message: what `Interrupted` says: the signal, and where the state was saved.
    """
    _note(interrupted=message)


def failed(message: str, *, explained: bool) -> None:
    """Note, if this is a job, what ended this process. The first to fail is the cause, and stays.

    Args:
        message: in one line.
        explained: whether a person has to mend it: the same start would fail again.
    """
    process = int(os.environ.get(PROCESS, "0"))
    _note(keep=True, error=message[:500], explained=explained, process=process)
