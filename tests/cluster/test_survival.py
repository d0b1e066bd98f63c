"""Runs under a real Slurm that are disturbed, and end as if they had not been."""

import os
import re
import signal

import pytest

pytestmark = pytest.mark.cluster


def test_four_tasks_find_each_other_and_equal_one_process(cluster, alone):
    cluster.gate.touch()
    job = cluster.train("--processes_per_node=2")
    assert cluster.ended(job)["state"] == "finished"
    one, four = alone.rows(), cluster.rows()
    assert [row["step"] for row in one] == [row["step"] for row in four]
    for ours, theirs in zip(four, one, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    shown = cluster.launch("status", f"--workdir={cluster.run}").stdout
    assert "finished" in shown
    assert "40/40" in shown


def _preempt(cluster, job):
    """Ask for all nodes in the partition that comes first."""
    for _ in range(2):
        short = ["--time=1", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap=true"]
        cluster("sbatch", "--partition=high", *short)


def _requeue(cluster, job):
    cluster("scontrol", "requeue", job)


DISTURBANCES = {
    # What happens, and what is recorded of it.
    "preemption": (_preempt, "preempted"),
    "scontrol requeue": (_requeue, "requeued"),
}


def check_resumed(cluster, undisturbed, job, sent, state):
    """Check that a run saved when it was asked to, and ended as if nothing had been."""
    start = cluster.ended(job)
    assert (start["state"], start["counted"]) == (state, False)
    saved = re.fullmatch(rf"{sent} \(process \d\): saved at step (\d+) of 40", start["reason"])
    assert saved, start["reason"]
    # From the step of the gate on the processes go on until they agree.
    assert 15 <= int(saved[1]) < 40
    assert cluster.ended(job, 1)["state"] == "finished"
    assert f"resuming at step {saved[1]} of 40" in cluster.log(job)
    assert cluster.rows() == undisturbed.rows()
    assert cluster.results() == undisturbed.results()


@pytest.mark.parametrize("name", DISTURBANCES)
def test_warned_run_saves_is_requeued_and_resumes(name, cluster, undisturbed):
    disturb, state = DISTURBANCES[name]
    job = cluster.train("--partition=low")
    cluster.arrived()
    disturb(cluster, job)
    cluster.heard(job, "SIGTERM")
    cluster.gate.touch()
    check_resumed(cluster, undisturbed, job, "SIGTERM", state)


@pytest.mark.parametrize("process", [0, 1], ids=["coordinator", "worker"])
def test_killed_process_ends_the_job_and_the_next_start_resumes(process, cluster, undisturbed):
    job = cluster.train()
    pids = cluster.arrived()
    cluster.saved(10)
    os.kill(pids[process], signal.SIGKILL)
    start = cluster.ended(job)
    assert (start["state"], start["counted"]) == ("failed", True)
    assert "SIGKILL" in start["reason"]
    cluster.gate.touch()
    assert cluster.ended(job, 1)["state"] == "finished"
    assert "resuming at step 10 of 40" in cluster.log(job)
    assert cluster.rows() == undisturbed.rows()
    assert cluster.results() == undisturbed.results()


def test_job_that_keeps_dying_is_requeued_so_often_and_not_once_more(cluster):
    job = cluster.train("--nodes=1", "--requeues=1")
    for start in range(2):
        (pid,) = cluster.arrived(start, processes=1)
        os.kill(pid, signal.SIGKILL)
        last = cluster.ended(job, start)
    assert "started again 1 times, the limit" in last["reason"]
    assert "JobState=FAILED" in cluster.settled(job)
    shown = cluster.launch("status", f"--workdir={cluster.run}").stdout
    assert "failed" in shown
    assert "SIGKILL" in shown


def test_canceled_job_saves_and_stays_canceled(cluster):
    job = cluster.train("--nodes=1")
    cluster.arrived(processes=1)
    cluster("scancel", job)
    cluster.heard(job, "SIGTERM")
    cluster.gate.touch()
    start = cluster.ended(job)
    assert (start["state"], start["reason"]) == ("canceled", "SIGTERM: saved at step 15 of 40")
    shown = cluster.settled(job)
    assert "JobState=CANCELLED" in shown
    assert "Restarts=0" in shown


def test_error_that_a_person_has_to_mend_is_not_tried_again(cluster):
    job = cluster.train(
        "--nodes=1", "--config.data.data_dir=/nowhere", "--config.data.source=folder"
    )
    start = cluster.ended(job)
    assert start["state"] == "failed"
    assert start["explained"]
    assert "Restarts=0" in cluster.settled(job)


def test_run_at_its_time_limit_saves_is_requeued_and_resumes(cluster, undisturbed):
    # Slurm's unit is a minute, and its warning may come up to one too early.
    job = cluster.train("--time=2", "--warning=20")
    cluster.heard(job, "SIGUSR2")
    cluster.gate.touch()
    check_resumed(cluster, undisturbed, job, "SIGUSR2", "time limit")
