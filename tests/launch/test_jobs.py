"""Records of jobs: nobody's entries are lost, and a job that cannot write lives on."""

import multiprocessing

import pytest

from cnnlab.errors import UserError
from cnnlab.launch import jobs


def add(path, number):
    for start in range(10):
        jobs.update(path, start, **{f"entry{number}": start})


def test_entries_of_many_writers_are_all_kept(tmp_path):
    path = jobs.record_path(tmp_path, "7")
    jobs.update(path, launcher="slurm")
    # Not by threads: a lock is a process's.
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add, args=(path, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    record = jobs.read(path)
    assert record["id"] == "7"
    assert record["launcher"] == "slurm"
    expected = [{f"entry{n}": start for n in range(3)} for start in range(10)]
    assert jobs.starts(record) == expected
    assert not list(path.parent.glob("*.tmp"))


def test_starts_are_in_order_beyond_nine(tmp_path):
    path = jobs.record_path(tmp_path, "1")
    for start in (10, 9, 0):
        jobs.update(path, start, n=start)
    assert [entry["n"] for entry in jobs.starts(jobs.read(path))] == [0, 9, 10]


def test_records_are_in_the_order_of_submission_and_elements_are_left_out(tmp_path):
    for job, time in (("9", "2026-01-01"), ("10", "2026-01-02")):
        jobs.update(jobs.record_path(tmp_path, job), submitted=time)
    jobs.update(jobs.record_path(tmp_path, "10_3"), 0, state="finished")
    assert [record["id"] for record in jobs.records(tmp_path)] == ["9", "10"]


def test_a_damaged_record_is_an_error_but_stops_no_job_that_writes_to_it(tmp_path):
    path = jobs.record_path(tmp_path, "11")
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(UserError, match=r"11\.json is damaged .*: remove it"):
        jobs.records(tmp_path)
    assert jobs.update(path, submitted="2026-01-01")["submitted"] == "2026-01-01"
    path.write_text('{"id": "11", "starts": {"one": {}}}')
    assert jobs.read(path) == {}


@pytest.fixture
def in_job(tmp_path, monkeypatch):
    path = jobs.record_path(tmp_path, "7")
    monkeypatch.setenv(jobs.RECORD, str(path))
    monkeypatch.setenv(jobs.START, "2")
    monkeypatch.setenv(jobs.PROCESS, "3")
    return path


def test_notes_are_about_this_start(in_job):
    jobs.began("node[1-2]")
    jobs.interrupted("SIGTERM: saved at step 3 of 9")
    entry = jobs.read(in_job)["starts"]["2"]
    assert entry["nodes"] == "node[1-2]"
    assert entry["interrupted"] == "SIGTERM: saved at step 3 of 9"


def test_first_failure_is_the_cause(in_job):
    jobs.failed("no such model", explained=True)
    jobs.failed("lost process 3", explained=False)
    expected = {"error": "no such model", "explained": True, "process": 3}
    assert jobs.read(in_job)["starts"]["2"] == expected


def test_without_a_job_nothing_is_noted(tmp_path, monkeypatch):
    monkeypatch.delenv(jobs.RECORD, raising=False)
    monkeypatch.chdir(tmp_path)
    jobs.interrupted("SIGTERM: saved")
    assert not list(tmp_path.iterdir())


def test_note_that_cannot_be_written_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "jobs").write_text("in the way")
    monkeypatch.setenv(jobs.RECORD, str(jobs.record_path(tmp_path, "7")))
    jobs.interrupted("SIGTERM: saved")
