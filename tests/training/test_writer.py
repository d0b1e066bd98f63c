"""Records on disk: taken back on a resume, readable after a kill."""

import json

import pytest
from tensorboard_events import read

from cnnlab.errors import UserError
from cnnlab.training.writer import Silent, Writer, read_rows


def test_records_after_the_restored_step_are_taken_back(tmp_path):
    writer = Writer(tmp_path)
    for step in (10, 20, 30):
        writer.write(step, {"train/loss": 1 / step})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "tr')
    writer = Writer(tmp_path, resume_step=20)
    writer.write(30, {"train/loss": 7.0})
    writer.close()
    assert list(read_rows(tmp_path / "metrics.jsonl")) == [
        {"step": 10, "train/loss": 0.1},
        {"step": 20, "train/loss": 0.05},
        {"step": 30, "train/loss": 7.0},
    ]


def test_record_is_on_disk_before_the_file_is_closed(tmp_path):
    writer = Writer(tmp_path)
    writer.write(1, {"a": 0.25})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "a": 0.25}
    writer.close()


def test_tensorboard_events_hold_the_same_numbers(tmp_path):
    writer = Writer(tmp_path)
    writer.write(3, {"train/loss": 0.5})
    writer.close()
    found = [(e.step, v.tag, v.simple_value) for e, v in read(tmp_path / "tensorboard")]
    assert found == [(3, "train/loss", 0.5)]


def test_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(UserError, match="line 2 is damaged"):
        list(read_rows(path))


def test_missing_file_has_no_rows(tmp_path):
    assert list(read_rows(tmp_path / "metrics.jsonl")) == []


def test_process_that_is_not_to_write_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = Silent()
    writer.write(1, {"a": 0.25})
    writer.close()
    assert not any(tmp_path.iterdir())


def test_records_are_read_one_at_a_time(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\nnonsense\n')
    rows = read_rows(path)
    assert next(rows) == {"step": 1}
    with pytest.raises(UserError, match="line 2"):
        next(rows)


def test_a_damaged_record_leaves_the_file_and_no_other(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    with pytest.raises(UserError, match="line 2"):
        Writer(tmp_path, resume_step=2)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
