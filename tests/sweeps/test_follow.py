"""A run's metrics are followed record by record, and its log says why it failed."""

import json

from cnnlab.sweeps.follow import Follower, last_words


def line(step, **values):
    return json.dumps({"step": step, **values}) + "\n"


def test_records_come_once_and_a_half_written_line_waits(tmp_path):
    path = tmp_path / "metrics.jsonl"
    follower = Follower(path)
    assert follower.rows() == []
    whole = line(1, loss=0.5) + line(1, accuracy=0.1) + line(2, loss=0.4)
    path.write_text(whole[:-4])
    assert follower.rows() == [(1, {"loss": 0.5}), (1, {"accuracy": 0.1})]
    assert follower.rows() == []
    path.write_text(whole)
    assert follower.rows() == [(2, {"loss": 0.4})]
    assert follower.step == 2


def test_file_that_a_resumed_run_takes_back_gives_what_is_new_only(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, loss=1.0) + line(2, loss=0.9) + line(3, loss=0.8))
    follower = Follower(path)
    assert len(follower.rows()) == 3
    again = tmp_path / "again"
    again.write_text(line(1, loss=1.0))
    again.replace(path)
    assert follower.rows() == []
    with path.open("a") as file:
        file.write(
            line(2, loss=0.9) + line(2, accuracy=0.5) + line(3, loss=0.8) + line(4, loss=0.7)
        )
    assert follower.rows() == [(2, {"accuracy": 0.5}), (4, {"loss": 0.7})]


def test_damaged_line_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("{'half\n[1]\n{}\n" + line(1, loss=1.0))
    assert Follower(path).rows() == [(1, {"loss": 1.0})]


def test_last_words_are_the_last_error_of_the_attempt_or_the_last_line(tmp_path):
    log = tmp_path / "log"
    log.write_text("error: of the attempt before\n")
    start = log.stat().st_size
    assert last_words(log, start) == ""
    log.write_text(log.read_text() + "step 1\n\nerror: it broke\n  more of it\n\n")
    assert last_words(log, start) == "it broke"
    log.write_text("Traceback\n  File\nKeyError: 'x'\n\n")
    assert last_words(log) == "KeyError: 'x'"
    log.write_bytes(b"x\n" * 50000 + b"\xff last\n")
    assert last_words(log) == "\ufffd last"
