"""The machinery of the benchmarks: whose turn it is, what a ratio is of, what is recorded."""

import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import timing

    return timing


def test_blocks_take_turns_and_every_other_round_runs_backwards(timing):
    turns = []
    contestants = {name: lambda name=name: turns.append(name) for name in "AB"}
    times = timing.alternate(contestants, blocks=3, calls=4)
    warm_up, *blocks = [turns[:2], *(turns[i : i + 8] for i in range(2, len(turns), 8))]
    assert warm_up == ["A", "B"]
    assert blocks == [list("BBBBAAAA"), list("AAAABBBB"), list("BBBBAAAA")]
    assert all(len(times[name][clock]) == 3 for name in "AB" for clock in ("wall", "cpu"))


def test_times_are_seconds_a_call_on_either_clock(timing, monkeypatch):
    clocks = {"wall": 0.0, "cpu": 0.0}
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clocks["wall"])
    monkeypatch.setattr(timing.time, "process_time", lambda: clocks["cpu"])

    def call():
        clocks["wall"] += 3.0
        clocks["cpu"] += 0.5

    times = timing.alternate({"call": call}, blocks=2, calls=4)
    assert times == {"call": {"wall": [3.0, 3.0], "cpu": [0.5, 0.5]}}


def test_a_ratio_is_taken_between_neighbors_before_the_median(timing):
    # The machine is ten times slower in the last block: the medians' ratio would be 2.
    assert timing.ratio([2, 3, 40], [1, 4, 10]) == {"median": 2, "min": 0.75, "max": 4}
    assert timing.ratio([1, 2, 30], [2, 4, 60]) == {"median": 0.5, "min": 0.5, "max": 0.5}


def test_the_table_has_aligned_columns(timing, capsys):
    timing.show([{"case": "a", "ratio": 0.5}, {"case": "long name", "ratio": 12.3456}])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["case", "ratio"]
    words = ("ratio", "0.500", "12.346")
    assert len({line.index(word) for line, word in zip(lines, words, strict=True)}) == 1


def test_the_record_tells_how_it_came_about(timing, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/x.py", "--blocks=2"])
    timing.write(str(tmp_path / "x.json"), [{"ratio": 0.5}])
    text = (tmp_path / "x.json").read_text()
    record = json.loads(text)
    assert record["rows"] == [{"ratio": 0.5}]
    assert record["command"] == "python benchmarks/x.py --blocks=2"
    assert {"date", "versions", "device", "machine"} <= record.keys()
    assert "/somewhere" not in text


def test_without_a_file_nothing_is_written(timing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    timing.write("", [{"ratio": 0.5}])
    assert not list(tmp_path.iterdir())
