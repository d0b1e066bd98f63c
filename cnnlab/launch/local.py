"""Local launcher: starts, watches and restarts the processes of a run on this machine."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.launch import jobs, process_environment, run_lock
from cnnlab.launch.outcome import Outcome, Scheduler, judge
from cnnlab.launch.resources import Resources
from cnnlab.utils.console import console
from cnnlab.utils.files import open_file, read_tail
from cnnlab.utils.installation import IN_CHECKOUT, ROOT
from cnnlab.utils.signals import handled

# Seconds that the others have to report their errors before they are killed; lines shown of a log.
GRACE, LINES = 2.0, 15


def launch(command: list[str], folder: Path, resources: Resources, *, dry_run: bool = False) -> int:
    """Run a command in several processes on this machine; return the exit status.

    Process 0 writes to this terminal, the others to logs in `jobs/` of the folder. At Ctrl-C or
    SIGTERM all save and stop; a second Ctrl-C kills them.

    Args:
        command: arguments of `launch.py`.
        folder: of the run.
        resources: number of processes, GPUs and restarts.
        dry_run: print the commands only.

    Raises:
        UserError: missing GPUs, GPUs that cannot be shared equally, or a failed run.
    """
    count = resources.processes
    shares = share(count, resources.nodes * resources.gpus_per_node)
    if dry_run:
        for index, gpus in enumerate(shares):
            prefix = f"CUDA_VISIBLE_DEVICES={gpus} " if gpus else ""
            print(prefix + shlex.join(_arguments(command, count, index, "localhost:PORT")))
        return 0
    _make(folder)
    with run_lock.hold(folder / jobs.FOLDER):
        return _attend(command, folder, resources, shares)


def _attend(command: list[str], folder: Path, resources: Resources, shares: list[str]) -> int:
    """Run the processes, restart them where `judge` says so; return the exit status."""
    number = 1 + len(list((folder / jobs.FOLDER).glob("local*.json")))
    record = jobs.record_path(folder, f"local{number}")
    jobs.update(
        record,
        launcher="local",
        command=command,
        resources=resources.plain(),
        submitted=jobs.now(),
    )
    start, failures = 0, 0
    while True:
        jobs.update(record, start, began=jobs.now())
        status, stopped = _run(command, record, start, shares)
        notes = jobs.starts(jobs.read(record))[-1]
        outcome = judge(status, notes, Scheduler(), failures=failures, requeues=resources.requeues)
        if stopped and outcome.again:
            outcome = Outcome("stopped", outcome.reason)
        jobs.update(record, start, state=outcome.state, reason=outcome.reason, ended=jobs.now())
        if not outcome.again:
            return _close(outcome, notes, record, len(shares))
        start, failures = start + 1, failures + outcome.counted
        text = f"{outcome.reason}; started again ({failures} of {resources.requeues})"
        console.print(text, soft_wrap=True)


def share(count: int, gpus: int) -> list[str]:
    """Return CUDA_VISIBLE_DEVICES of each process, "" where it stays unchanged.

    Args:
        count: processes.
        gpus: number of GPUs that they share equally; 0: CUDA_VISIBLE_DEVICES stays unchanged.

    Raises:
        UserError: fewer GPUs, or a number that `count` does not divide.
    """
    if not gpus:
        return [""] * count
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    here = range(process_environment.gpus(os.environ))
    names = visible.split(",") if visible else [str(i) for i in here]
    if gpus > len(names):
        raise UserError(
            f"{gpus} GPUs requested (--nodes x --gpus_per_node), but this machine has "
            f"{len(names)}: ask for fewer, or none"
        )
    if gpus % count:
        raise UserError(
            f"{gpus} GPUs cannot be shared equally by {count} processes: change --gpus_per_node "
            "or --processes_per_node"
        )
    each = gpus // count
    return [",".join(names[i * each : (i + 1) * each]) for i in range(count)]


def _make(folder: Path) -> None:
    try:
        (folder / jobs.FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write in {folder}: {error.strerror}; name another folder"
        ) from error


def _arguments(command: list[str], count: int, index: int, coordinator: str) -> list[str]:
    peers = [f"--coordinator={coordinator}", f"--processes={count}", f"--process={index}"]
    return [sys.executable, "-m", "cnnlab.launch.worker", *command, *(peers if count > 1 else [])]


def _run(command: list[str], record: Path, start: int, shares: list[str]) -> tuple[int, bool]:
    """Run all processes once; return their exit status, and whether they were asked to stop."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    known = {**os.environ, jobs.RECORD: str(record.absolute())}
    known |= {jobs.START: str(start), jobs.ATTACHED: "1"}
    if IN_CHECKOUT:
        path = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
        known["PYTHONPATH"] = os.pathsep.join(path)
    processes: list[subprocess.Popen] = []
    with ExitStack() as stack, _forwarding(processes) as asks:
        for index, gpus in enumerate(shares):
            own = {jobs.PROCESS: str(index)}
            if gpus:
                own["CUDA_VISIBLE_DEVICES"] = gpus
            logs = [
                stack.enter_context(open_file(_log(record, index, end), "a")) if index else None
                for end in ("out", "err")
            ]
            processes.append(
                subprocess.Popen(
                    _arguments(command, len(shares), index, coordinator),
                    env={**known, **own},
                    # Closes when this process ends, however it ends.
                    stdin=subprocess.PIPE,
                    stdout=logs[0],
                    stderr=logs[1],
                    # Ctrl-C reaches this process alone, which forwards it.
                    start_new_session=True,
                )
            )
        codes = _watch(processes)
    # A negative code is a signal: converted as shells do.
    return max(code if code >= 0 else 128 - code for code in codes), bool(asks)


def _watch(processes: list[subprocess.Popen]) -> list[int]:
    """Wait for all; if one fails, kill the others. Return the exit codes that show the cause."""
    while any(p.poll() is None for p in processes):
        bad = [p.returncode for p in processes if p.poll()]
        if bad:
            deadline = time.monotonic() + GRACE
            while time.monotonic() < deadline and any(p.poll() is None for p in processes):
                time.sleep(0.05)
            for process in processes:
                process.kill()
                process.wait()
            return bad
        time.sleep(0.05)
    return [p.wait() for p in processes]


@contextmanager
def _forwarding(processes: list[subprocess.Popen]) -> Iterator[list[int]]:
    """Forward signals to the processes as SIGTERM, a second Ctrl-C as SIGKILL."""
    asks: list[int] = []

    def handle(number, _):
        again = number == signal.SIGINT in asks
        asks.append(number)
        for process in processes:
            process.send_signal(signal.SIGKILL if again else signal.SIGTERM)

    with handled(handle):
        yield asks


def _log(record: Path, index: int, end: str) -> Path:
    return record.parent / f"{record.stem}_{index}_log.{end}"


def _close(outcome: Outcome, notes: dict, record: Path, count: int) -> int:
    if outcome.state != "failed":
        return 0
    rank = int(notes.get("process", 0))
    if notes.get("explained") and not rank:
        return 1
    for index in [rank] if rank else range(1, count):
        with suppress(OSError):
            lines = read_tail(_log(record, index, "err")).splitlines()[-LINES:]
            text = "\n".join(lines)
            console.print(f"last lines of process {index}:\n{text}", soft_wrap=True)
    raise UserError(f"{outcome.reason}; logs in {record.parent}")
