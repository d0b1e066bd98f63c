"""How one start of a job ended, and whether the job is to be started again."""

import dataclasses
import re
import signal
from typing import Any


@dataclasses.dataclass(frozen=True)
class Scheduler:
    """What Slurm says of a job when its program has ended; nothing where there is no Slurm.

    Attributes:
        ending: Slurm itself is ending the job: it was canceled, or met its time limit.
        requeued: Slurm already has it back in the queue.
        preempted: it has to make room for another.
        out_of_time: the time limit is over.
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
        reason: in words.
        again: whether to start it again.
        counted: whether that counts against the bound of `requeues`.
    """

    state: str
    reason: str
    again: bool = False
    counted: bool = False


def judge(  # noqa: PLR0911
    status: int, notes: dict[str, Any], scheduler: Scheduler, *, failures: int, requeues: int
) -> Outcome:
    """Return how a start of a job ended.

    A run that made room or met its time limit is started again, as often as it takes, if it got
    as far as saving a step; one that crashed, was killed, or got nowhere at most `requeues`
    times. One that was told to stop, or whose error was explained, is not.

    Args:
        status: highest exit status of its processes, 128 + signal for one that was killed.
        notes: what its processes noted: see `jobs.interrupted` and `jobs.failed`.
        scheduler: what Slurm says.
        failures: earlier starts that count against the bound.
        requeues: the bound.
    """
    saved, error = notes.get("interrupted", ""), notes.get("error", "")
    asked = re.split(r"\W", saved)[0] or _signal(status)
    what = saved or error or _explain(status)
    warned = asked == "SIGUSR2" and not scheduler.preempted
    # The first that holds.
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
    if asked in ("SIGTERM", "SIGINT"):
        return Outcome("stopped", what)
    if notes.get("explained"):
        return Outcome("failed", error)
    return _bounded("failed", what, True, failures, requeues)


def _bounded(state: str, reason: str, counted: bool, failures: int, requeues: int) -> Outcome:
    if not counted or failures < requeues:
        return Outcome(state, reason, again=True, counted=counted)
    return Outcome(state, f"{reason}; started again {failures} times, not once more", counted=True)


def _signal(status: int) -> str:
    """Return the signal that ended a process, by its exit status."""
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return ""


def _explain(status: int) -> str:
    name = _signal(status)
    if name in ("SIGTERM", "SIGINT", "SIGUSR2"):
        return f"{name}: nothing was there to be saved"
    if name == "SIGKILL":
        return "a process was killed (SIGKILL): by hand, or because memory ran out"
    if name == "SIGABRT":
        return "a process aborted (SIGABRT), as all do that lose one of the others"
    return f"a process ended with {name}" if name else f"a process ended with status {status}"
