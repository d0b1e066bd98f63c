"""TensorBoard events are whole records; an error of the disk costs a warning alone."""

import errno

from tensorboard_events import read

from cnnlab.training.event_file import EventFile
from cnnlab.training.writer import Writer, read_rows


def test_numbers_are_on_disk_after_a_flush(tmp_path):
    events = EventFile(tmp_path / "new" / "folder")
    events.scalars({"train/loss": 0.5, "train/accuracy": 0.25}, 3)
    events.flush()
    found = [(e.step, v.tag, v.simple_value) for e, v in read(tmp_path / "new" / "folder")]
    assert found == [(3, "train/loss", 0.5), (3, "train/accuracy", 0.25)]
    events.close()


def test_a_resumed_run_voids_the_events_from_its_step_on(tmp_path):
    EventFile(tmp_path, purge_step=7).close()
    (path,) = tmp_path.iterdir()
    from tensorboard_events import events
    from tensorboardX.proto.event_pb2 import SessionLog

    marks = [(event.step, event.session_log.status) for event in events(path)]
    assert marks == [(0, 0), (7, 0), (7, SessionLog.START)]


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path, caplog):
    (tmp_path / "tensorboard").write_text("a file")
    writer = Writer(tmp_path)
    writer.write(1, {"a": 0.5})
    writer.close()
    assert list(read_rows(tmp_path / "metrics.jsonl")) == [{"step": 1, "a": 0.5}]
    assert [r.message for r in caplog.records] == [
        f"no more TensorBoard events go into {tmp_path / 'tensorboard'}: File exists"
    ]


def test_a_full_disk_is_one_warning_and_the_numbers_go_on(tmp_path, caplog, monkeypatch):
    writer = Writer(tmp_path)
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_):
        raise full

    monkeypatch.setattr("tensorboardX.event_file_writer.EventsWriter.write_event", fail)
    for step in range(1, 31):
        writer.write(step, {"a": 0.5})
    writer.close()
    assert len(list(read_rows(tmp_path / "metrics.jsonl"))) == 30
    (record,) = caplog.records
    assert "No space left on device" in record.message


def test_the_config_is_a_text_from_the_first_step_on(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": 7}')
    Writer(tmp_path).close()
    ((_, value),) = read(tmp_path / "tensorboard")
    assert value.tag == "config/text_summary"
    assert value.tensor.string_val == [b'```\n{"seed": 7}\n```']
    # A resumed run has it already.
    Writer(tmp_path, resume_step=5).close()
    assert len(read(tmp_path / "tensorboard")) == 1
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
