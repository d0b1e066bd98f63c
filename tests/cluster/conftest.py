"""A Slurm of this one machine for the tests of this folder, or the reason why there is none."""

import subprocess
import sys
from pathlib import Path

import pytest
from cluster_runs import CONFIG, Cluster

HERE = Path(__file__).resolve().parent


def pytest_terminal_summary(terminalreporter):
    """Say it in the last lines when nothing was tested."""
    skipped = [r for r in terminalreporter.getreports("skipped") if "tests/cluster" in r.nodeid]
    if skipped:
        terminalreporter.write_sep("!", "no test ran on a real Slurm", red=True, bold=True)
        terminalreporter.write_line(str(skipped[0].longrepr[-1]))


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Start a Slurm; the folder it lies in."""
    lab = tmp_path_factory.mktemp("slurm")
    if sys.platform != "linux":
        pytest.skip("a Slurm of one machine needs Linux")
    started = subprocess.run(
        ["bash", HERE / "start.sh", lab], capture_output=True, text=True, check=False
    )
    if started.returncode:
        # A machine without Slurm says nothing of this project.
        subprocess.run(["bash", HERE / "stop.sh", lab], check=False, capture_output=True)
        pytest.skip(f"Slurm cannot be started here: {started.stderr.strip()[-500:]}")
    yield lab
    subprocess.run(["bash", HERE / "stop.sh", lab], check=False, capture_output=True)


@pytest.fixture
def cluster(slurm, tmp_path):
    """A Slurm, and a folder that its nodes share."""
    found = Cluster(slurm, tmp_path)
    yield found
    mine = [path.stem for path in found.run.glob("jobs/*.json")]
    for job in mine:
        subprocess.run(["scancel", job], env=found.environment, check=False, capture_output=True)


@pytest.fixture(scope="session")
def undisturbed(slurm, tmp_path_factory):
    """A run of two processes that nothing happens to."""
    found = Cluster(slurm, tmp_path_factory.mktemp("undisturbed"))
    found.gate.touch()
    job = found.train()
    assert found.ended(job)["state"] == "finished"
    return found


@pytest.fixture
def alone(slurm, tmp_path):
    """The same run in one process with as many devices, without Slurm."""
    found = Cluster(slurm, tmp_path / "alone")
    found.folder.mkdir()
    found.gate.touch()
    flags = f"{found.flags} --xla_force_host_platform_device_count=4"
    done = found.launch("train", CONFIG, f"--workdir={found.run}", XLA_FLAGS=flags)
    assert done.returncode == 0, done.stderr
    return found
