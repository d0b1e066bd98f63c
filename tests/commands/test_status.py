"""`launch.py status`: what is shown of runs, and what of a folder that holds none."""

import json

import fake_slurm
import pytest

from cnnlab import commands
from cnnlab.launch import jobs


@pytest.fixture
def runs(tmp_path, monkeypatch):
    fake_slurm.install(tmp_path, monkeypatch, squeue="8|8|PENDING|Priority|0:00|", sacct="error")
    monkeypatch.setenv("COLUMNS", "160")
    folder = tmp_path / "runs"
    for name, job in (("waiting", "8"), ("broken", "9")):
        jobs.update(jobs.record_path(folder / name, job), submitted=jobs.now())
    path = jobs.record_path(folder / "broken", "9")
    jobs.update(path, 0, state="failed", reason="ValueError: [x]")
    jobs.update(path, 1, state="failed", reason="ValueError: [x]")
    path.with_name("9_0_log.err").write_text("line 1\nline 2\nline 3\n")
    done = folder / "done"
    done.mkdir()
    best = {"best": "validation/accuracy", "mode": "max"}
    (done / "config.json").write_text(json.dumps({"steps": 4, "checkpoint": best}))
    (done / "metrics.jsonl").write_text('{"step": 4, "validation/accuracy": 0.975}\n')
    (done / "result.json").write_text("{}")
    return folder


def show(capsys, *arguments):
    assert commands.main(["status", *arguments]) == 0
    return capsys.readouterr().out


def test_table_has_every_run_its_state_and_why(runs, capsys):
    text = show(capsys, f"--workdir={runs}")
    lines = {line.split("│")[1].strip(): line for line in text.splitlines() if "│" in line}
    for words in (("waiting", "queued", "8", "Priority"), ("done", "finished", "4/4", "97.50%")):
        assert all(word in lines[words[0]] for word in words), words
    assert "failed" in lines["broken"]
    assert "ValueError: [x]" in lines["broken"]
    assert "1 queued" in " ".join(text.split())
    assert "line 3" not in text


def test_a_narrow_terminal_folds_between_words_and_has_the_reasons_below(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = show(capsys, f"--workdir={runs}").splitlines()
    assert lines[-2].endswith("broken: ValueError: [x]") and lines[-1].endswith("waiting: Priority")
    table = [line for line in lines if line[:1] in ("┃", "│")]
    headings = [cell.strip() for line in table if line[0] == "┃" for cell in line.split("┃")]
    assert list(filter(None, headings)) == [
        *("best", "validation/", "run", "state", "step", "accuracy", "job")
    ]
    assert any("97.50%" in line and "finished" in line and "4/4" in line for line in table)


def test_columns_without_a_cell_are_left_out(runs, capsys):
    text = show(capsys, f"--workdir={runs / 'done'}")
    heading = next(line for line in text.splitlines() if "┃" in line)
    cells = [cell.strip() for cell in heading.split("┃")]
    assert cells == ["", "run", "state", "step", "best validation/accuracy", ""]


def test_single_run_is_shown_with_the_end_of_its_log(runs, capsys):
    text = show(capsys, f"--workdir={runs / 'broken'}", "--lines=2")
    assert text.endswith("9_0_log.err:\n  line 2\n  line 3\n")
    assert "line 2" not in show(capsys, f"--workdir={runs / 'broken'}", "--lines=0")
    assert "last lines" not in show(capsys, f"--workdir={runs / 'done'}")


def test_without_slurm_the_folders_alone_tell(runs, capsys, tmp_path, monkeypatch):
    fake_slurm.remove(tmp_path, monkeypatch)
    found = json.loads(show(capsys, f"--workdir={runs}", "--format=json"))
    states = {path.rpartition("/")[2]: entry["name"] for path, entry in found.items()}
    assert states == {"waiting": "lost", "broken": "failed", "done": "finished"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=nowhere"], "no folder nowhere"),
        (["--workdir=."], "no run in ."),
        (["runs"], "unexpected argument 'runs'"),
    ],
)
def test_mistake_is_explained(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commands.main(["status", *arguments]) == 1
    assert f"error: {message}" in capsys.readouterr().err
