"""What Slurm says of jobs, by `scontrol` and `squeue`, which need no accounting."""

import dataclasses
import re
import subprocess

from cnnlab.launch.outcome import Scheduler

SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Queued:
    """A job in the queue.

    Attributes:
        state: as Slurm has it: PENDING, RUNNING, COMPLETING...
        reason: why it waits.
        elapsed: since its start, as Slurm writes it.
        nodes: where it runs.
    """

    state: str
    reason: str
    elapsed: str
    nodes: str


def ask(*command: str) -> str | None:
    """Return what a command of Slurm prints, None if it fails or there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def queued() -> dict[str, Queued]:
    """Return this user's jobs in the queue by id; elements of an array by `<array>_<index>`.

    Elements that wait together are under `<array>_[...]`; every array is also under its own id.
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
    """Return Slurm's word for how a job ended, "" if it does not know the job any more."""
    text = ask("sacct", "-X", "--noheader", "--parsable2", "--format=State", "--jobs", job)
    if text and text.strip():
        return text.split()[0]
    found = re.search(r"JobState=(\w+)", ask("scontrol", "--oneliner", "show", "job", job) or "")
    return found[1] if found else ""


def partitions() -> list[str]:
    """Return the names of the partitions there are."""
    return sorted(set((ask("sinfo", "--noheader", "--format=%R") or "").split()))


def scheduler(job: str, start: int) -> Scheduler:
    """Return what Slurm says of a job whose program has just ended.

    Args:
        job: its id (of an element of an array: its own, SLURM_JOB_ID).
        start: which start this was: SLURM_RESTART_COUNT.
    """
    text = ask("scontrol", "--oneliner", "show", "job", job)
    return read_scheduler(text or "", start)


def read_scheduler(text: str, start: int) -> Scheduler:
    """Return what a line of `scontrol show job` says; see `scheduler`."""
    fields = dict(re.findall(r"(\w+)=(\S*)", text))
    # Slurm has ended it (COMPLETING) before its program is through only when told to.
    ending = fields.get("JobState", "RUNNING") not in ("RUNNING", "SUSPENDED")
    return Scheduler(
        ending=ending,
        requeued=int(fields.get("Restarts", "0")) > start,
        preempted=fields.get("PreemptTime", "None") != "None",
        out_of_time=ending and fields.get("Reason") == "TimeLimit",
    )


def requeue(job: str) -> bool:
    """Put a job back into the queue; return whether Slurm did."""
    return ask("scontrol", "requeue", job) is not None
