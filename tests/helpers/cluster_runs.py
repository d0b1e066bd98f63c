"""Runs on the Slurm of tests/cluster, and the files by which a test and its run meet."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnnlab.launch import jobs

ROOT = Path(__file__).resolve().parents[2]
CONFIG = f"--config={ROOT / 'tests/cluster/gated.py'}"


class Cluster:
    """Commands on the cluster, and the files by which a test and its run meet."""

    def __init__(self, lab: Path, folder: Path):
        self.folder, self.run, self.gate = folder, folder / "run", folder / "gate"
        flags = re.sub(r"--xla_force_host\S+", "", os.environ.get("XLA_FLAGS", ""))
        self.flags = flags
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "CNNLAB_JOB"))}
        self.environment = {
            **kept,
            "SLURM_CONF": str(lab / "slurm.conf"),
            "PYTHONPATH": str(ROOT / "tests/helpers"),
            "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=1",
            "GATE": str(self.gate),
        }

    def __call__(self, *command: str) -> str:
        """Run a command of Slurm; return what it prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def launch(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run `launch.py`."""
        command = [sys.executable, str(ROOT / "launch.py"), *arguments]
        return subprocess.run(
            command,
            env={**self.environment, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def train(self, *arguments: str) -> str:
        """Submit a run of two nodes (unless set otherwise); return the job's id."""
        done = self.launch(
            "train",
            CONFIG,
            f"--workdir={self.run}",
            "--launcher=slurm",
            "--nodes=2",
            "--time=10",
            *arguments,
        )
        assert done.returncode == 0, done.stderr
        return re.search(r"job (\d+)", done.stderr)[1]

    def starts(self, job: str) -> list[dict]:
        """Return what the record of a job says of its starts."""
        return jobs.starts(jobs.read(jobs.record_path(self.run, job)))

    def wait(self, condition, what: str, seconds: float = 240):
        """Wait until a condition is true of something; return that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = condition()
            if found:
                return found
            time.sleep(0.2)
        logs = "\n".join(
            f"--- {path}\n{path.read_text()[-3000:]}"
            for path in sorted(self.run.glob("jobs/*_log.*"))
        )
        pytest.fail(f"{what}: not within {seconds} s\n{self('squeue')}\n{logs}")

    def ended(self, job: str, start: int = 0, seconds: float = 240) -> dict:
        """Wait for the end of a start of a job; return what is recorded of it."""

        def found():
            there = self.starts(job)
            return len(there) > start and "state" in there[start] and there[start]

        return self.wait(found, f"end of start {start} of job {job}", seconds)

    def settled(self, job: str) -> str:
        """Wait until Slurm is done with a job; return what it says of it."""

        def found():
            shown = self("scontrol", "show", "job", job)
            busy = ("RUNNING", "COMPLETING", "PENDING")
            return not any(f"JobState={state}" in shown for state in busy) and shown

        return self.wait(found, f"job {job} to leave the queue")

    def arrived(self, start: int = 0, processes: int = 2) -> list[int]:
        """Wait until all processes of a start are at the gate; return their process ids."""
        marks = [self.folder / f"at-{start}-{process}" for process in range(processes)]
        self.wait(lambda: all(m.exists() and m.read_text() for m in marks), "arrival at the gate")
        return [int(mark.read_text()) for mark in marks]

    def saved(self, step: int) -> None:
        """Wait until the checkpoint of a step, written while the run goes on, is complete."""
        self.wait((self.run / f"checkpoints/{step}").exists, f"the checkpoint of step {step}")

    def heard(self, job: str, signal: str) -> None:
        """Wait until the first or the second process has noted a signal."""

        def found():
            return any(f"{signal}: saving" in self.log(job, process) for process in range(2))

        self.wait(found, f"{signal} in the logs")

    def log(self, job: str, process: int = 0) -> str:
        """Return what a process of a job has printed so far."""
        path = self.run / f"jobs/{job}_{process}_log.err"
        return path.read_text() if path.exists() else ""

    def rows(self) -> list[dict]:
        """Return the records of the run, without what the clock has to do with."""
        lines = (self.run / "metrics.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]

    def results(self) -> dict:
        """Return what the finished run found."""
        return json.loads((self.run / "result.json").read_text())["results"]
