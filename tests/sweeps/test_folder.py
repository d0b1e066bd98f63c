"""A sweep's folder: trials, their states, and locks that die with whoever holds them."""

import errno
import multiprocessing
import os
import subprocess
import sys
import threading

import pytest
import stub_sweep

from cnnlab.errors import UserError
from cnnlab.sweeps import folder as fd
from cnnlab.sweeps.folder import SweepFolder
from cnnlab.utils import files


def test_trials_are_points_times_seeds_in_run_folders(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"a": 1}, {"a": 2}], repeat=2, base={"seed": 5})
    trials = folder.trials()
    assert [(t.number, t.point, t.overrides) for t in trials] == [
        (0, 0, {"a": 1, "seed": 5}),
        (1, 0, {"a": 1, "seed": 6}),
        (2, 1, {"a": 2, "seed": 5}),
        (3, 1, {"a": 2, "seed": 6}),
    ]
    assert trials[3].path == tmp_path / "s/trials/0003"
    assert folder.log(trials[3]) == tmp_path / "s/logs/0003.log"
    assert SweepFolder.open(tmp_path / "s").trials() == trials


def test_without_repetition_a_trial_sets_what_its_point_sets(tmp_path):
    (trial,) = stub_sweep.make(tmp_path / "s", [{"a": 1}]).trials()
    assert trial.overrides == {"a": 1}


def test_trial_is_claimed_once_until_it_is_let_go(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"a": 1}, {"a": 2}])
    other = SweepFolder.open(tmp_path / "s")
    first, second = folder.trials()
    claim = folder.claim(first)
    assert claim is not None
    with claim:
        assert folder.claim(first) is None
        assert other.claim(first) is None
        assert (other.state(first), other.state(second)) == ("running", "waiting")
        assert other.states() == {0: "running", 1: "waiting"}
    assert other.state(first) == "waiting"
    again = other.claim(first)
    assert again is not None
    with again:
        other.finish(first, "finished")
    assert folder.claim(first) is None
    assert folder.states() == {0: "finished", 1: "waiting"}


def test_looking_at_states_never_takes_a_trial_from_who_claims_it(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"a": 1}])
    (trial,) = folder.trials()
    claim = folder.claim(trial)
    assert claim is not None
    with claim:
        pass
    done = threading.Event()

    def look():
        looker = SweepFolder.open(tmp_path / "s")
        while not done.is_set():
            looker.state(trial)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            claim = folder.claim(trial)
            assert claim is not None
            with claim:
                pass
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_lock_lasts_as_long_as_the_process_that_inherited_it(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"a": 1}])
    (trial,) = folder.trials()
    claim = folder.claim(trial)
    assert claim is not None
    with claim as lock:
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,)
        )
    assert folder.state(trial) == "running"
    assert folder.claim(trial) is None
    child.kill()
    child.communicate()
    assert folder.state(trial) == "waiting"


def test_failed_trials_keep_their_reason_and_are_tried_again_on_demand(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"a": 1}, {"a": 2}, {"a": 3}])
    first, second, third = folder.trials()
    folder.finish(first, "failed", "it broke")
    folder.finish(second, "pruned", "at step 4")
    folder.finish(third, "waiting", "stopped")
    assert folder.reason(first) == "it broke"
    assert folder.claim(first) is None
    other = SweepFolder.open(tmp_path / "s")
    assert other.retry_failed() == 1
    assert other.states() == {0: "waiting", 1: "pruned", 2: "waiting"}
    other.finish(first, "failed", "again")
    assert other.record(first) == fd.Record("failed", "again", 2)
    assert other.record(third) == fd.Record("waiting", "stopped", 0)


def _add(path, count):
    folder = SweepFolder.open(path)
    for _ in range(count):
        folder.add({"pid": os.getpid()})


def test_processes_that_add_trials_at_once_never_share_a_number(tmp_path):
    path = tmp_path / "s"
    folder = stub_sweep.make(path, [], search="tpe")
    adders = [
        multiprocessing.get_context("fork").Process(target=_add, args=(path, 25)) for _ in "ab"
    ]
    for process in adders:
        process.start()
    for process in adders:
        process.join()
    trials = folder.trials()
    assert [t.number for t in trials] == list(range(50))
    pids = [t.overrides["pid"] for t in trials]
    assert sorted(pids.count(p.pid) for p in adders) == [25, 25]
    assert folder.add({"x": (1, 2)}, point=3).point == 3
    assert SweepFolder.open(path).trials()[-1].overrides == {"x": (1, 2)}


def test_file_system_without_locks_is_reported(tmp_path, monkeypatch):
    folder = stub_sweep.make(tmp_path / "s", [{"a": 1}])

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with pytest.raises(UserError, match=r"cannot lock .*0000.lock: No locks available"):
        folder.claim(folder.trials()[0])


def test_claiming_all_trials_reads_each_state_a_bounded_number_of_times(tmp_path, monkeypatch):
    folder = stub_sweep.make(tmp_path / "s", [{"a": n} for n in range(60)])
    reads = []
    original = fd.Path.read_text
    monkeypatch.setattr(
        fd.Path, "read_text", lambda self, *a: (reads.append(self), original(self, *a))[1]
    )
    for trial in folder.trials():
        claim = folder.claim(trial)
        assert claim is not None
        with claim:
            folder.finish(trial, "finished")
    assert len(reads) <= 3 * 60


def test_damaged_state_is_reported(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"a": 1}])
    (tmp_path / "s/states/0000.json").write_text("{")
    with pytest.raises(UserError, match=r"0000.json is damaged"):
        folder.state(folder.trials()[0])


def test_same_sweep_goes_on_and_another_is_shown(tmp_path):
    path = tmp_path / "s"
    stub_sweep.make(path, [{"a": 1}, {"a": (2, 3)}])
    before = (path / "sweep.json").read_bytes()
    stub_sweep.make(path, [{"a": 1}, {"a": (2, 3)}])
    with pytest.raises(
        UserError, match=r"holds another sweep:\n.*points.1.a: \[2, 3\] -> \[2, 4\]"
    ):
        stub_sweep.make(path, [{"a": 1}, {"a": (2, 4)}])
    with pytest.raises(UserError, match=r"base.steps: 3 -> 4"):
        stub_sweep.make(path, [{"a": 1}, {"a": (2, 3)}], base={"seed": 0, "steps": 4})
    with pytest.raises(UserError, match="repeat: 1 -> 2"):
        stub_sweep.make(path, [{"a": 1}, {"a": (2, 3)}], repeat=2)
    with pytest.raises(UserError, match=r"and [0-9]+ more"):
        stub_sweep.make(path, [{"a": n} for n in range(50)])
    assert (path / "sweep.json").read_bytes() == before


def test_what_changes_no_trial_may_change(tmp_path):
    path = tmp_path / "s"
    stub_sweep.make(path, [{"a": 1}])
    stub_sweep.make(path, [{"a": 1}], metric="validation/loss", mode="min", sweep="moved.py")
    assert SweepFolder.open(path).settings.metric == "validation/loss"
    search = tmp_path / "search"
    stub_sweep.make(search, [], search="tpe", trials=5, metric="x")
    stub_sweep.make(search, [], search="tpe", trials=9, metric="x")
    assert SweepFolder.open(search).settings.trials == 9
    with pytest.raises(UserError, match="metric: x -> y"):
        stub_sweep.make(search, [], search="tpe", trials=9, metric="y")


def test_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match=r"holds 'config.json' but no sweep"):
        stub_sweep.make(tmp_path, [{"a": 1}])
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]
    with pytest.raises(UserError, match=r"cannot write in --workdir=.*config.json"):
        stub_sweep.make(tmp_path / "config.json", [{"a": 1}])


def test_first_of_two_makers_wins_and_the_other_is_compared_with_it(tmp_path, monkeypatch):
    path = tmp_path / "s"
    original = fd.write_new

    def slow(file, values):
        monkeypatch.setattr(fd, "write_new", original)
        stub_sweep.make(path, [{"a": 2}])
        return original(file, values)

    monkeypatch.setattr(fd, "write_new", slow)
    with pytest.raises(UserError, match=r"points.0.a: 2 -> 1"):
        stub_sweep.make(path, [{"a": 1}])
    assert SweepFolder.open(path).settings.points == [{"a": 2}]


def test_full_disk_is_not_taken_for_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fd, "write_new", full)
    with pytest.raises(OSError, match="No space left"):
        stub_sweep.make(tmp_path / "s", [{"a": 1}])
