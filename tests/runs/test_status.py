"""Where a run stands, by what its folder and the queue say."""

import json
from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.launch import jobs, run_lock, slurm_queue
from cnnlab.launch.slurm_queue import Queued
from cnnlab.runs.status import find_runs, log_tail, state

CONFIG = {"steps": 40, "checkpoint": {"best": "validation/loss", "mode": "min"}}
PENDING = Queued("PENDING", "Resources", "0:00", "")
RUNNING = Queued("RUNNING", "None", "1:00", "node[1-2]")


class Stopped(Exception):
    pass


PREEMPTED = {"state": "preempted", "reason": "SIGTERM: saved at step 9 of 40"}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    rows = [
        {"step": 10, "time/examples_per_second": 99.0},
        {"step": 10, "validation/loss": 0.5},
        {"step": 20, "time/examples_per_second": 101.0},
        {"step": 20, "validation/loss": 0.7},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def submit(run, *starts, launcher="slurm"):
    path = jobs.record_path(run, "7")
    jobs.update(path, launcher=launcher, submitted=jobs.now())
    for number, entries in enumerate(starts):
        jobs.update(path, number, **entries)


def test_progress_is_read_from_the_folder(run):
    found = state(run, {})
    assert (found.step, found.steps, found.rate) == (20, 40, 101.0)
    assert (found.metric, found.best) == ("validation/loss", 0.5)


def test_a_checkpoint_after_the_last_record_is_where_the_run_stands(run):
    (run / "checkpoints" / "33").mkdir(parents=True)
    assert state(run, {}).step == 33


def test_run_without_a_job(run):
    assert state(run, {}).name == "stopped"
    with run_lock.hold(run):
        assert state(run, {}).name == "running"
    (run / "result.json").write_text("{}")
    assert state(run, {}).name == "finished"


@pytest.mark.parametrize(
    ("error", "name", "reason"),
    [
        (Stopped("SIGTERM: saved at step 9"), "stopped", "SIGTERM: saved at step 9"),
        (KeyboardInterrupt(), "stopped", "Ctrl-C"),
        (UserError("do this"), "failed", "do this"),
        (ValueError("two\nlines"), "failed", "ValueError: two lines"),
    ],
)
def test_run_without_a_job_notes_how_it_ended(error, name, reason, run):
    with pytest.raises(type(error)), run_lock.hold(run), run_lock.record_ending(run, Stopped):
        raise error
    assert (state(run, {}).name, state(run, {}).reason) == (name, reason)


def test_run_that_was_killed_or_ended_well(run):
    with run_lock.record_ending(run):
        # As a kill leaves it: nobody holds the lock.
        assert (state(run, {}).name, state(run, {}).reason[:6]) == ("failed", "killed")
    assert state(run, {}).name == "stopped"


@pytest.mark.parametrize(
    ("starts", "queue", "name", "reason"),
    [
        ((), {"7": PENDING}, "queued", "Resources"),
        ((PREEMPTED,), {"7": PENDING}, "queued", "Resources; before: preempted, SIGTERM: saved"),
        ((PREEMPTED, {}), {"7": RUNNING}, "running", "on node[1-2]"),
        ((PREEMPTED,), {}, "stopped", "not in the queue any more"),
        (({"state": "failed", "reason": "killed"},), {}, "failed", "killed"),
        (({"state": "canceled", "reason": "SIGTERM"},), {}, "canceled", "SIGTERM"),
        (({"began": "now"},), {}, "lost", "job 7 did not say how it ended; Slurm: NODE_FAIL"),
    ],
)
def test_run_in_a_job(starts, queue, name, reason, run, monkeypatch):
    monkeypatch.setattr(slurm_queue, "ended", lambda _: "NODE_FAIL")
    submit(run, *starts)
    found = state(run, queue)
    assert found.name == name
    assert reason in found.reason
    assert (found.job, found.starts) == ("7", len(starts))


def test_job_canceled_in_the_queue_never_began(run, monkeypatch):
    monkeypatch.setattr(slurm_queue, "ended", lambda _: "CANCELLED")
    submit(run)
    assert (state(run, {}).name, state(run, {}).reason) == ("canceled", "before it began")


def test_local_job_lives_as_long_as_its_launcher(run, monkeypatch):
    monkeypatch.setattr(slurm_queue, "ended", lambda _: "")
    submit(run, {"began": "now"}, launcher="local")
    with run_lock.hold(run / jobs.FOLDER):
        assert state(run, {}).name == "running"
    assert state(run, {}).name == "lost"


DAMAGED = [b"", b"\xff", b"null", b"[]", b"[" * 100_000]


@pytest.mark.parametrize("data", DAMAGED)
@pytest.mark.parametrize("name", ["config.json", "jobs/7.json", "metrics.jsonl", "result.json"])
def test_a_damaged_file_is_that_runs_state_and_hides_no_other(run, name, data):
    (run / "jobs").mkdir()
    (run / name).write_bytes(data + b"\n{}\n" if name == "metrics.jsonl" else data)
    found = state(run, {})
    assert found.name == "damaged"
    assert f"{run / name}" in found.reason
    assert ": re" in found.reason, "what to do: remove it, or restore it"


def test_what_is_lost_of_a_run_is_its_state(run):
    (run / "result.json").write_text('{"missing": 7}')
    assert "'missing' is 7" in state(run, {}).reason
    (run / "result.json").write_text("{}")
    (run / "metrics.jsonl").unlink()
    assert state(run, {}).reason == "metrics.jsonl is lost; the results are not"
    (run / "config.json").unlink()
    (run / "checkpoints" / "4").mkdir(parents=True)
    assert list(find_runs(run.parent)) == [run]
    assert state(run, {}).name == "damaged"


@pytest.mark.parametrize("data", [*DAMAGED, b'{"state": 3, "reason": ""}'])
def test_a_damaged_record_of_a_trial_is_its_state(run, data):
    sweep = run.parent / "sweep"
    (sweep / "trials").mkdir(parents=True)
    run = run.rename(sweep / "trials" / "0000")
    (sweep / "sweep.json").touch()
    (sweep / "states").mkdir()
    (sweep / "states" / "0000.json").write_bytes(data)
    found = state(run, {})
    assert found.name == "damaged"
    assert "0000.json is damaged" in found.reason


def test_runs_are_found_but_not_those_inside_runs(run):
    inner = run / "supervised"
    inner.mkdir()
    (inner / "config.json").write_text("{}")
    waiting = run.parent / "deep" / "er"
    waiting.mkdir(parents=True)
    submit(waiting)
    (run.parent / "notes.txt").touch()
    assert list(find_runs(run.parent)) == [waiting, run]
    assert list(find_runs(run)) == [run]
    assert not list(find_runs(run.parent / "nowhere"))


def test_log_is_that_of_the_process_that_failed(run):
    submit(run, {"state": "failed", "reason": "x", "process": 1})
    assert log_tail(run, "7", 2) is None
    log = run / "jobs" / "7_1_log.err"
    log.write_text("one\ntwo\nthree\n")
    assert log_tail(run, "7", 2) == (log, ["two", "three"])


def test_sweep_is_shown_by_its_array_job_and_its_trials(tmp_path):
    sweep = tmp_path / "sweep"
    for number in ("0000", "0001", "0002"):
        (sweep / "trials" / number).mkdir(parents=True)
    (sweep / "sweep.json").touch()
    (sweep / "states").mkdir()
    (sweep / "states" / "0000.json").write_text('{"state": "failed", "reason": "no number"}')
    (sweep / "trials" / "0001" / "result.json").write_text("{}")
    jobs.update(jobs.record_path(sweep, "7"), submitted=jobs.now(), count=3)
    jobs.update(jobs.record_path(sweep, "7_0"), 0, state="finished")
    jobs.update(jobs.record_path(sweep, "7_1"), 0, state="finished")
    jobs.update(jobs.record_path(sweep, "7_2"), 0, began="now")
    found = {path.name: state(path, {}) for path in find_runs(tmp_path)}
    assert list(found) == ["sweep", "0000", "0001", "0002"]
    names = {name: (now.name, now.reason) for name, now in found.items()}
    assert names["sweep"] == ("ended", "2 finished, 1 lost")
    assert names["0000"] == ("failed", "no number")
    assert names["0001"][0] == "finished"
    assert names["0002"][0] == "stopped"
    assert state(sweep, {"7": RUNNING}).name == "running"


def test_best_leaves_out_values_of_another_metric_or_of_other_examples(run):
    saved = run / "checkpoints" / "20" / "metrics"
    saved.mkdir(parents=True)
    (saved / "metrics").write_text(json.dumps({"best": 0.7, "since": 10}))
    assert state(run, {}).best == 0.7


def test_folders_that_links_lead_to_are_looked_into_once(tmp_path, run):
    (tmp_path / "a/b").mkdir(parents=True)
    for number in range(4):
        (tmp_path / f"a/b/{number}").symlink_to("../..")
    assert list(find_runs(tmp_path)) == [run]


def test_a_folder_that_cannot_be_read_hides_no_run(tmp_path, run, monkeypatch, caplog):
    (tmp_path / "locked").mkdir()
    read = Path.iterdir

    def iterdir(folder):
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return read(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert list(find_runs(tmp_path)) == [run]
    assert "locked cannot be read: Permission denied" in caplog.text
