"""The end of a start of a Slurm job is recorded, and the job requeued where it is to go on."""

import fake_slurm
import pytest

from cnnlab.launch import jobs, slurm_epilogue

RUNNING = "JobId=12 JobState=RUNNING Reason=None Restarts={} PreemptTime=None"


@pytest.fixture
def job(tmp_path, monkeypatch):
    """An element of an array: its record has another name than its job id."""

    def start(number, requeues=1, **answers):
        monkeypatch.setenv(jobs.RECORD, str(jobs.record_path(tmp_path, "7_3")))
        monkeypatch.setenv(jobs.START, str(number))
        monkeypatch.setenv(jobs.REQUEUES, str(requeues))
        monkeypatch.setenv("SLURM_JOB_ID", "12")
        answers = {"scontrol": RUNNING.format(number), **answers}
        return fake_slurm.install(tmp_path, monkeypatch, **answers)

    return start


def requeued(calls):
    return "scontrol requeue 12" in calls.read_text().splitlines()


def entry(tmp_path, start=0):
    return jobs.starts(jobs.read(jobs.record_path(tmp_path, "7_3")))[start]


def test_finished_job_is_left(tmp_path, job):
    calls = job(0)
    assert slurm_epilogue.finish(0) == 0
    assert entry(tmp_path)["state"] == "finished"
    assert not requeued(calls)


def test_killed_job_is_requeued_once_and_not_twice(tmp_path, job, capsys):
    calls = job(0)
    assert slurm_epilogue.finish(137) == 137
    assert requeued(calls)
    assert "SIGKILL" in capsys.readouterr().err
    calls.unlink()
    calls = job(1)
    assert slurm_epilogue.finish(137) == 137
    assert entry(tmp_path, 1)["state"] == "failed"
    assert not requeued(calls)


def test_run_that_saved_for_its_time_limit_is_requeued(tmp_path, job):
    calls = job(0, requeues=0)
    jobs.interrupted("SIGUSR2: saved at step 5 of 9")
    assert slurm_epilogue.finish(0) == 0
    assert entry(tmp_path)["reason"] == "SIGUSR2: saved at step 5 of 9"
    assert requeued(calls)


def test_what_is_not_recorded_is_not_bounded_hence_not_requeued(tmp_path, job, capsys):
    calls = job(0)
    (tmp_path / "jobs").write_text("in the way")
    assert slurm_epilogue.finish(137) == 137
    assert "cannot be written" in capsys.readouterr().err
    assert not requeued(calls)


def test_slurm_that_does_not_requeue_is_reported(job, capsys):
    job(0, scontrol="error: Requested operation is presently disabled")
    assert slurm_epilogue.finish(137) == 137
    assert "Slurm does not requeue job 12: submit it again" in capsys.readouterr().err
