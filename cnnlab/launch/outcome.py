"""How one start of a job ended (finished, preempted, failed, ...) and whether to requeue it."""

import dataclasses
import re
import signal
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scheduler:
    """State of a job in Slurm when its program has ended; the defaults hold without Slurm.

    Attributes:
        ending: Slurm ends the job: it was canceled, or reached its time limit.
        requeued: Slurm has requeued it already.
        preempted: preempted by another job.
        out_of_time: it reached its time limit.
    """

    ending: bool = False
    requeued: bool = False
    preempted: bool = False
    out_of_time: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a start ended.

    Attributes:
        state: finished, stopped, canceled, failed, preempted, "time limit" or requeued.
        reason: one line.
        again: whether to start it again.
        counted: whether that counts against the limit `requeues`.
    """

    state: str
    reason: str
    again: bool = False
    counted: bool = False


def judge(  # noqa: PLR0911
    status: int, notes: dict[str, Any], scheduler: Scheduler, *, failures: int, requeues: int
) -> Outcome:
    """Return how a start of a job ended.

    A run that was preempted or reached its time limit after saving a checkpoint is always started
    again; one that crashed, was killed or saved nothing, at most `requeues` times. A run that was
    asked to stop, or ended by a user error, is not started again.

    Args:
        status: highest exit status of its processes, 128 + signal for one that was killed.
        notes: entries of the start's record: see `jobs.interrupted` and `jobs.failed`.
        scheduler: state of the job in Slurm.
        failures: earlier starts that count against the limit.
        requeues: the limit.
    """
    saved, error = notes.get("interrupted", ""), notes.get("error", "")
    asked = re.split(r"\W", saved)[0] or _signal(status)
    what = saved or error or _explain(status)
    warned = asked == "SIGUSR2" and not scheduler.preempted
    # The first that holds decides.
    if status == 0 and not saved:
        return Outcome("finished", "")
    if scheduler.requeued:
        return Outcome("requeued", what)
    if scheduler.ending and not scheduler.out_of_time:
        return Outcome("canceled", what)
    if scheduler.out_of_time or warned:
        return _bounded("time limit", what, not saved, failures, requeues)
    if scheduler.preempted:
        return Outcome("preempted", what, again=True)
    if asked in ("SIGTERM", "SIGINT", "SIGHUP"):
        return Outcome("stopped", what)
    if notes.get("explained"):
        return Outcome("failed", error)
    return _bounded("failed", what, True, failures, requeues)


def _bounded(state: str, reason: str, counted: bool, failures: int, requeues: int) -> Outcome:
    if not counted or failures < requeues:
        return Outcome(state, reason, again=True, counted=counted)
    return Outcome(
        state, f"{reason}; started again {failures} times, the limit (--requeues)", counted=True
    )


def _signal(status: int) -> str:
    """Return the signal that ended a process, by its exit status."""
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return ""


def _explain(status: int) -> str:
    name = _signal(status)
    if name in ("SIGTERM", "SIGINT", "SIGUSR2", "SIGHUP"):
        return f"{name}: there was nothing to save"
    if name == "SIGKILL":
        return "a process was killed (SIGKILL): by hand, or because memory ran out"
    if name == "SIGABRT":
        return "a process aborted (SIGABRT), as processes do that lose a peer"
    return f"a process ended with {name}" if name else f"a process ended with status {status}"
