"""Runs one trial: `launch.py train` in a child process, followed through its metrics."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cnnlab.errors import NO_ROOM, UserError
from cnnlab.launch import jobs
from cnnlab.sweeps.cpu_gpu_shares import Share
from cnnlab.sweeps.folder import SweepFolder, Trial
from cnnlab.sweeps.follow import Follower, last_words
from cnnlab.sweeps.values import arguments
from cnnlab.training.run_folder import is_finished
from cnnlab.utils.files import open_file
from cnnlab.utils.installation import COMMAND, PROGRAM
from cnnlab.utils.signals import STOP

CHILD = (sys.executable, "-I", "-S", str(Path(__file__).with_name("child.py")))
# Seconds between looks at what a trial has written.
PERIOD = 0.25
# Bytes; with fewer left, what failed has failed for want of them.
FULL = 1 << 20
# In the message of a run that was asked to stop.
SAVED = "saved at step"
# What tells a process which job it is.
JOB = (jobs.RECORD, jobs.START, jobs.ATTACHED)
STOPPED = (0, *(-number for number in STOP), *(128 + number for number in STOP))


def command(folder: SweepFolder, trial: Trial, workdir: Path | None = None) -> list[str]:
    """Return the command that runs a trial, as a person would type it.

    Args:
        folder: of the sweep.
        trial: to run.
        workdir: a folder to run it in; the trial's own if None.
    """
    settings = folder.settings
    entries = {**settings.overrides, **trial.overrides}
    return [
        *COMMAND,
        "train",
        f"--config={settings.config}",
        f"--workdir={workdir or trial.path}",
        *arguments(entries),
    ]


class Stop:
    """Whether trials have to stop: saving first, or at once."""

    def __init__(self) -> None:
        """Nothing has to stop yet."""
        self.asked, self.at_once = threading.Event(), threading.Event()


def run_trial(
    folder: SweepFolder,
    trial: Trial,
    lock: int,
    *,
    on_metrics: Callable[[int, dict[str, float]], bool] | None = None,
    environment: Mapping[str, str] | None = None,
    share: Share | None = None,
    stop: Stop | None = None,
    program: Sequence[str] = PROGRAM,
) -> tuple[str, str]:
    """Run or resume a trial; return its state and the reason.

    Args:
        folder: of the sweep.
        trial: claimed by this process.
        lock: file descriptor of the claim, which the trial's process inherits.
        on_metrics: called with the step and the values of every record of its metrics; returns
            whether to stop the trial there (pruned).
        environment: of the trial; this process's if None.
        share: cores and variables to add.
        stop: asks the trial to save and stop; its state is `waiting` then.
        program: what `python launch.py` is.

    Returns:
        `finished`, `failed`, `pruned` or `waiting` (stopped before its end), and why.

    Raises:
        UserError: if the disk is full: other trials would fail for no fault of theirs.
    """
    stop, share = stop or Stop(), share or Share((), {})
    if is_finished(trial.path):
        return "finished", ""
    if trial.path.exists() and not (trial.path / "config.json").exists():
        # Killed before it wrote its config: nothing to resume.
        shutil.rmtree(trial.path)
    trial.path.parent.mkdir(exist_ok=True)
    follower = Follower(trial.path / "metrics.jsonl")
    cores = ",".join(map(str, share.cores))
    with open_file(folder.log(trial), "ab") as log:
        start = log.tell()
        process = subprocess.Popen(
            [*CHILD, str(os.getpid()), cores, *program, *command(folder, trial)[len(COMMAND) :]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(os.environ if environment is None else environment, share),
            pass_fds=(lock,),
            # A Ctrl-C at the terminal reaches the sweep alone, which tells the trial once.
            start_new_session=True,
        )
    try:
        pruned, code = _follow(process, follower, on_metrics, stop)
    except BaseException:
        # Whoever follows it has failed; the trial saves what it has, and is not left alone.
        process.terminate()
        process.wait()
        raise
    words = last_words(folder.log(trial), start)
    if code == 0 and (trial.path / "result.json").exists():
        return "finished", ""
    if pruned:
        return "pruned", f"pruned at step {follower.step}"
    stopped = stop.asked.is_set() or SAVED in words or code != 0
    if stop.at_once.is_set() or (code in STOPPED and stopped):
        return "waiting", words if SAVED in words else "stopped before it had saved"
    full = next((what for what in NO_ROOM.values() if what in words), "")
    if full or shutil.disk_usage(folder.path).free < FULL:
        full = full or NO_ROOM[errno.ENOSPC]
        raise UserError(f"{full} (trial {trial.name}): free some space and run it again")
    return "failed", _why(code, words, follower.step)


def _why(code: int, words: str, step: int) -> str:
    """Return why a trial with this exit status and these last words failed."""
    if code < 0:
        name = signal.Signals(-code).name
        hint = ": out of memory?" if -code == signal.SIGKILL else ""
        return f"killed by {name} at step {step}{hint}"
    if code == 0:
        return f"ended without a result: {words or 'not a word'}"
    return words or f"exit status {code} without a word"


def _follow(
    process: subprocess.Popen,
    follower: Follower,
    on_metrics: Callable[[int, dict[str, float]], bool] | None,
    stop: Stop,
) -> tuple[bool, int]:
    """Wait for a trial's end; return whether it was pruned, and its exit status."""
    pruned = asked = False
    while True:
        try:
            code = process.wait(PERIOD)
        except subprocess.TimeoutExpired:
            code = None
        for step, values in follower.rows():
            if on_metrics is not None and not pruned and on_metrics(step, values):
                pruned = True
        if code is not None:
            return pruned, code
        if stop.at_once.is_set():
            os.killpg(process.pid, signal.SIGKILL)
        elif (stop.asked.is_set() or pruned) and not asked:
            process.terminate()
            asked = True


def _environment(inherited: Mapping[str, str], share: Share) -> dict[str, str]:
    """Return a trial's environment; what it does is no note on the job that its sweep runs in."""
    kept = {name: value for name, value in inherited.items() if name not in JOB}
    return {**kept, **share.environment}
