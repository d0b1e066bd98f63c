"""Where a run stands, read from its folder and from the queue."""

import collections
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.launch import jobs, run_lock, slurm_queue
from cnnlab.launch.slurm_queue import Queued
from cnnlab.metrics.direction import implied
from cnnlab.training import run_folder
from cnnlab.training.writer import read_rows
from cnnlab.utils.console import LOG
from cnnlab.utils.files import read_json, read_tail

# What makes a folder a sweep.
SWEEP = "sweep.json"
# Slurm's words for jobs that use their nodes.
RUNNING = ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED")


@dataclasses.dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
        name: queued, running, finished, stopped, failed, canceled or lost; pruned of a trial,
            ended of an array job.
        reason: why it waits or ended.
        step, steps: done, and in all; 0 if unknown.
        rate: examples a second at the last record, 0 if unknown.
        metric: name of what the best checkpoint is chosen by, "" without.
        best: its best value so far.
        job: id of the last job, "" without.
        starts: how often that job was started.
    """

    name: str
    reason: str = ""
    step: int = 0
    steps: int = 0
    rate: float = 0.0
    metric: str = ""
    best: float | None = None
    job: str = ""
    starts: int = 0


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run, or a job that is to make one."""
    names = ("config.json", "result.json", "checkpoints")
    return any(os.path.lexists(folder / name) for name in names) or jobs.exist(folder)


def find_runs(folder: Path) -> Iterator[Path]:
    """Yield the run folders in a folder or folder of folders, without those inside a run.

    Of a sweep, the folder itself comes before its trials if it was submitted. A folder of folders
    that several links lead to is looked into once. One that cannot be read is named in a warning.
    """
    yield from _find(folder, set())


def _find(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        if os.path.lexists(folder / SWEEP):
            if jobs.exist(folder):
                yield folder
            yield from sorted(path for path in folder.glob("trials/*") if path.is_dir())
            return
        if is_run(folder):
            yield folder
            return
        place = folder.stat()
        inside = sorted(folder.iterdir())
    except OSError as error:
        LOG.warning("%s cannot be read: %s", folder, error.strerror)
        return
    if (place.st_dev, place.st_ino) in seen:
        return
    seen.add((place.st_dev, place.st_ino))
    for inner in inside:
        if not inner.name.startswith(".") and os.path.isdir(inner):  # noqa: PTH112
            yield from _find(inner, seen)


def state(folder: Path, queue: Mapping[str, Queued]) -> State:
    """Return where a run stands; a damaged one is `damaged`, and hides no other.

    Args:
        folder: of the run.
        queue: what `slurm_queue.queued` returned.
    """
    try:
        records = jobs.records(folder)
        record = records[-1] if records else {}
        name, reason = _standing(folder, record, queue)
        job, starts = record.get("id", ""), len(jobs.starts(record))
        return State(name, reason, **_progress(folder), job=job, starts=starts)
    except UserError as error:
        return State("damaged", str(error))


def _standing(  # noqa: PLR0911
    folder: Path, record: dict[str, Any], queue: Mapping[str, Queued]
) -> tuple[str, str]:
    if run_lock.is_held(folder):
        return "running", ""
    if os.path.lexists(folder / "result.json"):
        missing = run_folder.open_ends(folder)
        if not (folder / "metrics.jsonl").exists():
            return "finished", "metrics.jsonl is lost; the results are not"
        return "finished", f"without {'; '.join(missing)}: start it again" if missing else ""
    last = (jobs.starts(record) or [{}])[-1]
    job = record.get("id", "")
    if job in queue:
        entry = queue[job]
        if entry.state in RUNNING:
            return "running", f"{entry.state.lower()} on {entry.nodes}"
        before = f"; before: {last['state']}, {last['reason']}" if "state" in last else ""
        return "queued", entry.reason + before
    if record.get("count", 1) > 1:
        return "ended", _elements(folder, job)
    if not record and (folder.parent.parent / SWEEP).exists():
        return _trial(folder)
    if not record:
        return run_lock.read_ending(folder)
    if run_lock.is_held(folder / jobs.FOLDER):
        return "running", "starting"
    if last.get("state") in ("preempted", "time limit", "requeued"):
        return "stopped", f"{last['state']}, {last['reason']}; not in the queue any more"
    if "state" in last:
        return last["state"], last["reason"]
    word = slurm_queue.ended(job)
    if word == "CANCELLED":
        return "canceled", "before it began" if not last else ""
    return "lost", f"job {job} did not say how it ended" + (f"; Slurm: {word}" if word else "")


def _elements(folder: Path, job: str) -> str:
    """Return how the elements of an array job ended, counted."""
    found = (jobs.read(path) for path in (folder / jobs.FOLDER).glob(f"{job}_*.json"))
    ends = [(jobs.starts(record) or [{}])[-1].get("state", "lost") for record in found]
    return ", ".join(f"{n} {end}" for end, n in collections.Counter(ends).most_common())


def _trial(folder: Path) -> tuple[str, str]:
    """Return what the sweep says of one of its trials."""
    path = folder.parent.parent / "states" / f"{folder.name}.json"
    form, remedy = {"state": str, "reason": str}, "remove it; the same sweep goes on"
    try:
        found = read_json(path, form, remedy=remedy)
    except FileNotFoundError:
        return "stopped", "the same sweep goes on from there"
    return found["state"], found["reason"]


def _progress(folder: Path) -> dict[str, Any]:
    if not os.path.lexists(folder / "config.json") and not run_folder.has_checkpoints(folder):
        return {}
    config = run_folder.read_config(folder)
    kept = config.get("checkpoint", {})
    metric = kept.get("best", "")
    # Earlier ones are of another metric or of other examples.
    since = _since(folder)
    choose = max if (implied(metric) or kept.get("mode")) == "max" else min
    step, rate, best = 0, 0.0, None
    for row in read_rows(folder / "metrics.jsonl"):
        step, rate = row["step"], row.get("time/examples_per_second", rate)
        if metric in row and step > since:
            best = row[metric] if best is None else choose(best, row[metric])
    return {
        "step": max(step, run_folder.last_step(folder)),
        "steps": config.get("steps", 0),
        "rate": rate,
        "metric": metric,
        "best": best,
    }


def _since(folder: Path) -> int:
    """Return the step since which values of the metric are comparable; see `Checkpoints`."""
    path = folder / "checkpoints" / str(run_folder.last_step(folder)) / "metrics" / "metrics"
    try:
        return read_json(path, {"since?": int}, remedy="remove this checkpoint").get("since", 0)
    except FileNotFoundError:
        return 0


def log_tail(folder: Path, job: str, lines: int) -> tuple[Path, list[str]] | None:
    """Return the log of a job's process that says most about its end, and its last lines."""
    record = jobs.read(jobs.record_path(folder, job))
    last = (jobs.starts(record) or [{}])[-1]
    path = folder / jobs.FOLDER / f"{job}_{last.get('process', 0)}_log.err"
    try:
        text = read_tail(path)
    except OSError:
        return None
    return path, text.splitlines()[-lines:]
