"""Entry point of each process of a job: runs the command and records how it ended.

`python -m cnnlab.launch.worker ARGUMENTS` under the local launcher, `Work(arguments)` pickled by
submitit.
"""

import os
import signal
import sys
import threading
import traceback

from cnnlab.launch import jobs

# Exit status after an unexpected exception.
CRASHED = 70


class Work:
    """A command that every task of a Slurm job runs."""

    def __init__(self, command: list[str]):
        """Remember the arguments of `launch.py`."""
        self.command = command

    def __call__(self) -> None:
        """Run the command and exit with its status."""
        process = os.environ[jobs.PROCESS] = os.environ.get("SLURM_PROCID", "0")
        if process == "0":
            jobs.began(os.environ.get("SLURM_JOB_NODELIST", ""))
        run(self.command)


def run(command: list[str]) -> None:
    """Run a command of `launch.py` and exit with its status."""
    # submitit's handlers would requeue from one process before the others have saved. Until the
    # training loop installs its handlers there is nothing to save, and a handler in Python would
    # wait for a compilation to end: the default, an immediate end, loses nothing.
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGCONT):
        signal.signal(number, signal.SIG_DFL)
    from cnnlab import commands

    try:
        status = commands.main(command)
    except Exception as error:
        traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())
        jobs.failed(text, explained=False)
        status = CRASHED
    _leave(status)


def _leave(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    if status:
        # Without the shutdown barrier of jax.distributed, which the others may never reach.
        os._exit(status)
    raise SystemExit(0)


def _follow_launcher() -> None:
    """Send this process SIGTERM when the launcher is gone, even if it was killed."""

    def wait():
        # Not through sys.stdin, whose lock would be held at exit.
        os.read(sys.stdin.fileno(), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    if os.environ.get(jobs.ATTACHED):
        _follow_launcher()
    run(sys.argv[1:])
