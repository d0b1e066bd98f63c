"""Queries of Slurm's queue by `squeue`, `scontrol` and `sinfo`, which need no accounting."""

import dataclasses
import re
import subprocess

from cnnlab.launch.outcome import Scheduler

SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Queued:
    """A job in the queue.

    Attributes:
        state: PENDING, RUNNING, COMPLETING...
        reason: of a pending job.
        elapsed: time since its start, as Slurm prints it.
        nodes: node list.
    """

    state: str
    reason: str
    elapsed: str
    nodes: str


def ask(*command: str) -> str | None:
    """Return the output of a Slurm command, None if it fails or is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def queued() -> dict[str, Queued]:
    """Return this user's jobs in the queue by id; elements of an array by `<array>_<index>`.

    Pending elements share the key `<array>_[...]`; every array is also under its own id.
    """
    text = ask("squeue", "--me", "--noheader", "--format=%i|%F|%T|%r|%M|%N") or ""
    found: dict[str, Queued] = {}
    for line in filter(None, text.splitlines()):
        job, array, state, reason, elapsed, nodes = line.split("|")
        entry = Queued(state, reason, elapsed, nodes)
        found[job] = entry
        if array not in found or state == "RUNNING":
            found[array] = entry
    return found


def ended(job: str) -> str:
    """Return the final state of a job in Slurm, "" if it is no longer known."""
    text = ask("sacct", "-X", "--noheader", "--parsable2", "--format=State", "--jobs", job)
    if text and text.strip():
        return text.split()[0]
    found = re.search(r"JobState=(\w+)", ask("scontrol", "--oneliner", "show", "job", job) or "")
    return found[1] if found else ""


def partitions() -> list[str]:
    """Return the names of the partitions."""
    return sorted(set((ask("sinfo", "--noheader", "--format=%R") or "").split()))


def scheduler(job: str, start: int) -> Scheduler:
    """Return the state in Slurm of a job whose program has just ended.

    Args:
        job: SLURM_JOB_ID; an array element has its own.
        start: number of this start: SLURM_RESTART_COUNT.
    """
    text = ask("scontrol", "--oneliner", "show", "job", job)
    return read_scheduler(text or "", start)


def read_scheduler(text: str, start: int) -> Scheduler:
    """Parse a line of `scontrol show job`; see `scheduler`."""
    fields = dict(re.findall(r"(\w+)=(\S*)", text))
    # COMPLETING while its program still runs: Slurm was asked to end the job.
    ending = fields.get("JobState", "RUNNING") not in ("RUNNING", "SUSPENDED")
    return Scheduler(
        ending=ending,
        requeued=int(fields.get("Restarts", "0")) > start,
        preempted=fields.get("PreemptTime", "None") != "None",
        out_of_time=ending and fields.get("Reason") == "TimeLimit",
    )


def requeue(job: str) -> bool:
    """Requeue a job; return whether Slurm accepted."""
    return ask("scontrol", "requeue", job) is not None
