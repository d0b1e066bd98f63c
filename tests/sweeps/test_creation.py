"""A folder holds one sweep: another is told with what differs, and nothing is overwritten."""

import errno
import json

import pytest
import stub_sweep

from cnnlab.errors import UserError
from cnnlab.sweeps import creation
from cnnlab.sweeps.folder import SweepFolder


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
    original = creation._write_first

    def slow(file, values):
        monkeypatch.setattr(creation, "_write_first", original)
        stub_sweep.make(path, [{"a": 2}])
        return original(file, values)

    monkeypatch.setattr(creation, "_write_first", slow)
    with pytest.raises(UserError, match=r"points.0.a: 2 -> 1"):
        stub_sweep.make(path, [{"a": 1}])
    assert SweepFolder.open(path).settings.points == [{"a": 2}]


def test_full_disk_is_not_taken_for_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(creation, "_write_first", full)
    with pytest.raises(OSError, match="No space left"):
        stub_sweep.make(tmp_path / "s", [{"a": 1}])


def test_no_sweep_and_a_damaged_one_are_told(tmp_path):
    with pytest.raises(UserError, match=r"there is no sweep.json"):
        SweepFolder.open(tmp_path)
    path = tmp_path / "s"
    stub_sweep.make(path, [{"a": 1}])
    whole = (path / "sweep.json").read_text()
    for text in (whole[:50], "[]", json.dumps({"config": "x"})):
        (path / "sweep.json").write_text(text)
        with pytest.raises(UserError, match=r"sweep.json is damaged"):
            SweepFolder.open(path)
