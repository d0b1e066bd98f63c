"""The value beside a checkpoint: where it is damaged or gone, what else has it, and who is best."""

import json
import shutil

import pytest
import small

from cnnlab.runs.evaluate import evaluate
from cnnlab.training import run_folder
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.checkpoint_values import Values
from cnnlab.training.loop import Loop

SETTINGS = small.config(steps=8, checkpoint__keep=3)
METRIC = SETTINGS.checkpoint.best


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run whose step 8 is better than its step 4."""
    folder = tmp_path_factory.mktemp("made")
    small.train(SETTINGS, folder)
    run_folder.record(folder, SETTINGS.to_dict())
    return folder


@pytest.fixture(scope="module")
def built():
    return small.build(SETTINGS)


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def entry_of(run, step=8):
    return run / f"checkpoints/{step}/metrics/metrics"


def recorded(run, step):
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return next(row[METRIC] for row in rows if row["step"] == step and METRIC in row)


def resumed(built, run):
    """Open the run to go on; return its checkpoints."""
    checkpoints = Loop(built, run).checkpoints
    checkpoints.close()
    return checkpoints


def changed_number(path):
    text = path.read_text()
    digit = text.index("0.") + 2
    path.write_text(f"{text[:digit]}{(int(text[digit]) + 5) % 10}{text[digit + 1 :]}")


def no_file(run):
    (run / "metrics.jsonl").unlink()


def other_numbers(run):
    """Let the records say that every evaluation was perfect."""
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    lines = [json.dumps({**row, METRIC: 1.0}) for row in rows]
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "no UTF-8": lambda path: path.write_bytes(b"\xff"),
    "no entries": lambda path: path.write_text("{}"),
    "another number": changed_number,
    "gone": lambda path: path.unlink(),
    "folder gone": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_value_comes_from_the_records_of_the_run(built, run, damage, caplog):
    value, before = recorded(run, 8), json.loads(entry_of(run).read_text())
    damage(entry_of(run))
    reader = Checkpoints(run / "checkpoints", metric=METRIC, read_only=True)
    assert (reader.best_step(), reader.values.of(8)) == (8, value)
    assert caplog.text.count("is taken from") == 1
    assert resumed(built, run).best_step() == 8
    assert "cannot be the best" not in caplog.text
    # And is there again for all that comes.
    caplog.clear()
    assert json.loads(entry_of(run).read_text()) == before
    checkpoints = resumed(built, run)
    assert (checkpoints.best_step(), checkpoints.values.of(8)) == (8, value)
    assert "metrics" not in caplog.text


@pytest.mark.parametrize("lose", [no_file, other_numbers])
def test_without_the_records_the_position_has_the_best_value(built, run, lose, caplog):
    value = recorded(run, 8)
    lose(run)
    for step in (4, 8):
        entry_of(run, step).write_text("")
    checkpoints = resumed(built, run)
    assert (checkpoints.best_step(), checkpoints.values.of(8)) == (8, value)
    assert f"is taken from {run / 'checkpoints/8/position'}" in caplog.text


def test_best_value_of_an_earlier_step_is_not_taken_for_its_own(built, run):
    # A step that was not evaluated: its position has the best value so far.
    no_file(run)
    values = Values(run / "checkpoints", METRIC, "auto")
    other = json.loads(entry_of(run, 4).read_text())
    best = json.loads(entry_of(run, 8).read_text())
    entry_of(run, 4).write_text(json.dumps({**values.entry(best["best"]), "since": other["since"]}))
    entry_of(run, 8).write_text("")
    assert values.best([4, 8]) == 4


@pytest.mark.slow
def test_what_cannot_be_recovered_is_said_whenever_the_best_is_asked_for(built, run, caplog):
    no_file(run)
    place = run / "checkpoints/8/position/metadata"
    record = json.loads(place.read_text())
    # Of a version without checksum, after an evaluation that was no better.
    del record["checksum"]
    place.write_text(json.dumps({**record, "stale": 1}))
    entry_of(run).write_text("")
    assert resumed(built, run).best_step() == 4
    assert "metrics is damaged" in caplog.text
    for _ in range(2):
        caplog.clear()
        assert evaluate(run, "best").step == 4
        assert "is missing: step 8 cannot be the best" in caplog.text


@pytest.mark.slow
def test_closing_and_evaluation_name_the_same_best(run, caplog):
    value = recorded(run, 8)
    entry_of(run).write_text("")
    assert evaluate(run, "best").best == {"metric": METRIC, "value": value}
    again = small.config(steps=12, checkpoint__keep=3)
    loop, _ = small.train(again, run)
    run_folder.record(run, again.to_dict())
    best = max((4, 8, 12), key=lambda step: (recorded(run, step), step))
    assert loop.checkpoints.best_step() == evaluate(run, "best").step == best
