"""What Slurm says is read as it is meant; where there is none, nothing is known."""

import fake_slurm
import pytest

from cnnlab.launch import slurm_queue
from cnnlab.launch.outcome import Scheduler

SQUEUE = """\
8|8|PENDING|Priority|0:00|
9|9|RUNNING|None|1:05|node[1-2]
12_[3-9]|12|PENDING|JobArrayTaskLimit|0:00|
12_1|12|RUNNING|None|0:10|node3
"""
# As Slurm 22.05 prints them, shortened.
PREEMPTED = (
    "JobId=2 JobState=RUNNING Reason=None Requeue=1 Restarts=1 ExitCode=0:0 "
    "PreemptEligibleTime=2026-11-23T06:24:46 PreemptTime=2026-11-23T06:24:49"
)
CANCELED = "JobId=2 JobState=COMPLETING Reason=None Restarts=1 PreemptTime=None"
RUNNING = "JobId=2 JobState=RUNNING Reason=None Restarts=1 PreemptTime=None"


def test_queue_is_read(tmp_path, monkeypatch):
    fake_slurm.install(tmp_path, monkeypatch, squeue=SQUEUE.strip())
    found = slurm_queue.queued()
    assert found["8"].reason == "Priority"
    assert found["9"] == slurm_queue.Queued("RUNNING", "None", "1:05", "node[1-2]")
    assert found["12_1"].state == "RUNNING"
    # An array some of which runs is running.
    assert found["12"].state == "RUNNING"


def test_without_slurm_nothing_is_known(tmp_path, monkeypatch):
    fake_slurm.remove(tmp_path, monkeypatch)
    assert slurm_queue.queued() == {}
    assert slurm_queue.partitions() == []
    assert slurm_queue.ended("7") == ""
    assert slurm_queue.scheduler("7", 0) == Scheduler()
    assert not slurm_queue.requeue("7")


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        (RUNNING, 1, {}),
        (PREEMPTED, 1, {"preempted": True}),
        (CANCELED, 1, {"ending": True}),
        (CANCELED, 0, {"ending": True, "requeued": True}),
        (CANCELED.replace("None", "TimeLimit", 1), 1, {"ending": True, "out_of_time": True}),
        ("", 1, {}),
    ],
)
def test_why_a_job_ends_is_read(text, start, expected):
    assert slurm_queue.read_scheduler(text, start) == Scheduler(**expected)


def test_end_is_asked_of_the_accounting_or_else_of_the_controller(tmp_path, monkeypatch):
    job = "JobId=7 JobState=FAILED Reason=NonZeroExitCode"
    fake_slurm.install(tmp_path, monkeypatch, sacct="CANCELLED by 0", scontrol=job)
    assert slurm_queue.ended("7") == "CANCELLED"
    fake_slurm.install(tmp_path, monkeypatch, sacct="error: accounting is disabled")
    assert slurm_queue.ended("7") == "FAILED"


def test_partitions_are_listed_once(tmp_path, monkeypatch):
    fake_slurm.install(tmp_path, monkeypatch, sinfo="low\nhigh\nlow")
    assert slurm_queue.partitions() == ["high", "low"]
