"""Processes on this machine: watched, ended together, started again; by stand-ins for training."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.launch import jobs, local, process_environment
from cnnlab.launch.resources import Resources

ROOT = Path(__file__).parents[2]
STUB = """
import os, signal, sys, time
from cnnlab.launch import jobs
start, process = int(os.environ[jobs.START]), int(os.environ[jobs.PROCESS])
mark = os.path.join(FOLDER, f"{start}-{process}")
(open(mark + ".new", "w")).write(str(os.getpid()))
os.replace(mark + ".new", mark)
print("process", process, "speaks", flush=True)
def meet(other):
    while not os.path.exists(os.path.join(FOLDER, f"{start}-{other}")):
        time.sleep(0.01)
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Let every process run these lines instead."""

    def set_up(lines):
        script = tmp_path / "stub.py"
        text = STUB.replace("FOLDER", repr(str(tmp_path))) + textwrap.dedent(lines)
        script.write_text(text)
        monkeypatch.setattr(local, "GRACE", 0.2)
        monkeypatch.setattr(local, "_arguments", lambda *_: [sys.executable, str(script)])

    return set_up


def record(folder, job="local1"):
    return jobs.starts(jobs.read(jobs.record_path(folder, job)))


def test_run_to_the_end_is_recorded(tmp_path, stub, capfd):
    stub("")
    run = tmp_path / "run"
    assert local.launch(["train"], run, Resources(processes_per_node=2)) == 0
    assert [entry["state"] for entry in record(run)] == ["finished"]
    # The first has the terminal, the other a file.
    assert capfd.readouterr().out == "process 0 speaks\n"
    assert (run / "jobs/local1_1_log.out").read_text() == "process 1 speaks\n"
    assert local.launch(["train"], run, Resources()) == 0
    assert [entry["state"] for entry in record(run, "local2")] == ["finished"]


@pytest.mark.parametrize("killed", [0, 1])
def test_death_of_one_ends_all_and_they_are_started_again(killed, tmp_path, stub, capfd):
    stub(f"""
        if start == 0:
            if process == {killed}:
                meet(1 - process)
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)
    """)
    assert local.launch(["train"], tmp_path, Resources(processes_per_node=2)) == 0
    first, second = record(tmp_path)
    assert first["state"] == "failed"
    assert "SIGKILL" in first["reason"]
    assert second["state"] == "finished"
    other = int((tmp_path / f"0-{1 - killed}").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(other, 0)
    assert "started again (1 of 3)" in " ".join(capfd.readouterr().err.split())


def test_it_is_started_again_so_often_and_not_once_more(tmp_path, stub, capfd):
    stub("print('[broken]', file=sys.stderr); time.sleep(600 * (process == 0)); sys.exit(7)")
    with pytest.raises(UserError, match="status 7; started again 1 times, the limit"):
        local.launch(["train"], tmp_path, Resources(processes_per_node=2, requeues=1))
    assert len(record(tmp_path)) == 2
    assert "last lines of process 1:\n[broken]" in capfd.readouterr().err


def test_explained_error_is_not_tried_again(tmp_path, stub, capfd):
    stub("jobs.failed('no such model', explained=True); sys.exit(1)")
    assert local.launch(["train"], tmp_path, Resources()) == 1
    assert [entry["reason"] for entry in record(tmp_path)] == ["no such model"]


def test_explained_error_of_another_process_is_reported(tmp_path, stub, capfd):
    stub("""
        if process == 0:
            time.sleep(600)
        jobs.failed("no such file", explained=True)
        sys.exit(1)
    """)
    with pytest.raises(UserError, match="no such file; logs in"):
        local.launch(["train"], tmp_path, Resources(processes_per_node=2))


DRIVER = """
import sys
from pathlib import Path
from cnnlab.launch import local
from cnnlab.launch.resources import Resources
local._arguments = lambda *_: [sys.executable, sys.argv[2]]
sys.exit(local.launch(["train"], Path(sys.argv[1]), Resources(processes_per_node=2)))
"""
SAVES = """
def save(*_):
    if SAVING:
        jobs.interrupted("SIGTERM: saved at step 3 of 9")
        sys.exit(0)
    (open(os.path.join(FOLDER, f"heard-{process}"), "w")).close()
signal.signal(signal.SIGTERM, save)
(open(os.path.join(FOLDER, f"ready-{process}"), "w")).close()
time.sleep(600)
"""


@pytest.fixture
def launched(tmp_path):
    """Start a launcher in a process of its own; return it once both of its processes are ready."""
    started = []

    def start(saving=True):
        lines = (STUB + SAVES).replace("FOLDER", repr(str(tmp_path)))
        (tmp_path / "stub.py").write_text(lines.replace("SAVING", str(saving)))
        command = [sys.executable, "-c", DRIVER, str(tmp_path / "run"), str(tmp_path / "stub.py")]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        started.append(process)
        while not all((tmp_path / f"ready-{i}").exists() for i in range(2)):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        return process

    yield start
    for process in started:
        process.kill()
        # Unlike processes that train, its stand-ins do not follow it.
        for mark in tmp_path.glob("0-?"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(mark.read_text()), signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signal_lets_all_save_and_stop(sent, tmp_path, launched):
    process = launched()
    process.send_signal(sent)
    assert process.wait() == 0
    (entry,) = record(tmp_path / "run")
    assert (entry["state"], entry["reason"]) == ("stopped", "SIGTERM: saved at step 3 of 9")


def test_second_interrupt_kills(tmp_path, launched):
    process = launched(saving=False)
    process.send_signal(signal.SIGINT)
    while not all((tmp_path / f"heard-{i}").exists() for i in range(2)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.wait()
    (entry,) = record(tmp_path / "run")
    assert entry["state"] == "stopped"


def test_two_launchers_cannot_share_a_folder(tmp_path, launched):
    launched()
    with pytest.raises(UserError, match="another process works in"):
        local.launch(["train"], tmp_path / "run", Resources())
    assert not jobs.record_path(tmp_path / "run", "local2").exists()


def test_dry_run_prints_the_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    resources = Resources(processes_per_node=2, gpus_per_node=4)
    command = ["train", "--workdir=my run"]
    assert local.launch(command, tmp_path / "run", resources, dry_run=True) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("CUDA_VISIBLE_DEVICES=4,5 ")
    assert second.endswith(
        "train '--workdir=my run' --coordinator=localhost:PORT --processes=2 --process=1"
    )
    assert not (tmp_path / "run").exists()


def test_gpus_are_shared_equally(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(process_environment, "gpus", lambda _: 4)
    assert local.share(2, 4) == ["0,1", "2,3"]
    assert local.share(2, 0) == ["", ""]
    with pytest.raises(UserError, match=r"8 GPUs requested .* has 4: ask for fewer"):
        local.share(2, 8)
    with pytest.raises(UserError, match="3 GPUs cannot be shared equally by 2 processes"):
        local.share(2, 3)


def test_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write in .*: Not a directory"):
        local.launch(["train"], tmp_path / "file" / "run", Resources())
