"""The report of a sweep: right numbers, everything listed, and a command that a shell takes."""

import csv
import shlex

import fabricated_sweep as fabricated
import pytest

from cnnlab.errors import UserError
from cnnlab.sweeps import report, summary
from cnnlab.sweeps.space import grid

RATE = "optimizer.learning_rate"


@pytest.fixture
def wide(monkeypatch):
    """Let tables have the room that they want."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def plain(monkeypatch):
    """Draw nothing, which takes longest and is tested beside."""
    monkeypatch.setattr(report, "_draw", lambda *_: [])


def rows_of(folder):
    with (folder.path / "report/trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_comes_first_with_step_and_held_out_numbers_beside(tmp_path, wide, capsys, plain):
    folder = fabricated.sweep(tmp_path / "s")
    values = ([0.5, 0.75, 0.25], [0.5, 0.7, 0.8], [0.6, 0.5, 0.4])
    for trial, curve in zip(folder.trials(), values, strict=True):
        # The one with the best test number is not the best.
        fabricated.finished(folder, trial, curve, test=1.0 - curve[1])
    report.write(folder)
    out = capsys.readouterr().out
    lines = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells == [
        ["0001", "0.01", "80.00%", "30", "29.00%"],
        ["0000", "0.001", "75.00%", "20", "25.00%"],
        ["0002", "0.1", "60.00%", "10", "50.00%"],
    ]
    assert "3 of 3 trials finished" in " ".join(out.split())
    assert "validation/accuracy: the best of each run's evaluations" in out
    assert "held out, nothing is chosen by it: test/accuracy" in out


def test_another_metric_is_compared_by_its_last_value(tmp_path, wide, capsys, plain):
    folder = fabricated.sweep(tmp_path / "s")
    for trial, loss in zip(folder.trials(), (0.5, 0.25, 0.75), strict=True):
        fabricated.record(trial, [0.01, loss], metric="validation/loss", test=0.5)
        folder.finish(trial, "finished")
    report.write(folder, "validation/loss", "min")
    out = capsys.readouterr().out
    assert "validation/loss: the last of each run; lowest first" in out
    assert f"--config.{RATE}=0.01" in out


def test_the_csv_has_every_trial_and_every_number(tmp_path, capsys, plain):
    folder = fabricated.sweep(tmp_path / "s", grid({RATE: (0.1, 0.2), "model.hidden": [(8,)]}))
    first, second = folder.trials()
    fabricated.finished(folder, first, [0.5, 1 / 3], test=0.6)
    folder.finish(second, "failed", 'said "no", twice\nand left')
    report.write(folder)
    one, two = rows_of(folder)
    assert one == {
        "trial": "0",
        "point": "0",
        "state": "finished",
        RATE: "0.1",
        "model.hidden": "(8,)",
        "validation/accuracy": "0.5",
        "step": "10",
        "test/accuracy": "0.6",
        "test/loss": "0.5",
        "seconds": "12.5",
        "attempts": "1",
        "reason": "",
    }
    assert (two["state"], two["reason"]) == ("failed", 'said "no", twice\nand left')
    assert two["validation/accuracy"] == ""


def test_points_have_mean_and_deviation_over_their_seeds(tmp_path, wide, capsys, plain):
    folder = fabricated.sweep(tmp_path / "s", repeat=3)
    for trial in folder.trials():
        value = 0.5 + 0.1 * trial.point + 0.02 * trial.overrides["seed"]
        fabricated.finished(folder, trial, [value], test=value)
    report.write(folder)
    out = capsys.readouterr().out
    first = next(line for line in out.splitlines() if line.startswith("│"))
    cells = [cell.strip() for cell in first.split("│")[1:-1]]
    assert cells == ["0006-0008", "0.1", "72.00% ± 2.00%", "3", "10", "71.00% ± 2.00%"]
    assert "mean ± standard deviation (n - 1) over n seeds\n" in out
    # Of the best point the first seed, the others differ in --config.seed.
    assert f"--config.{RATE}=0.1 --config.seed=0" in out
    markdown = (folder.path / "report/trials.md").read_text()
    assert "| 0006-0008 | 0.1 | 72.00% ± 2.00% | 3 | 10 | 71.00% ± 2.00% |" in markdown
    assert len(rows_of(folder)) == 9


def test_a_point_that_is_not_complete_comes_after_those_that_are(tmp_path, wide, capsys, plain):
    folder = fabricated.sweep(tmp_path / "s", repeat=2)
    for trial in folder.trials()[:3]:
        fabricated.finished(folder, trial, [0.5 + 0.1 * trial.point])
    report.write(folder)
    out = capsys.readouterr().out
    assert "; complete points come first" in out
    cells = [line.split()[1] for line in out.splitlines() if line.startswith("│")]
    assert cells == ["0000,", "0002"]


def test_the_command_of_the_best_survives_a_shell(tmp_path, capsys, plain):
    values = ("it's $HOME", 'a "b"; rm -r /', "(1, 2)")
    folder = fabricated.sweep(tmp_path / "s p a c e", grid({"name": values}))
    for trial in folder.trials():
        fabricated.finished(folder, trial, [0.5 + 0.1 * (trial.number == 1)])
    found = summary.read(folder)
    line = report.rerun(found)
    assert shlex.split(line) == [
        "python",
        "launch.py",
        "train",
        "--config=configs/digits_lenet5.py",
        f"--workdir={tmp_path}/s p a c e-best",
        f"--config.name={values[1]}",
    ]
    report.write(folder)
    assert f"  {line}\n" in capsys.readouterr().out
    assert line in (folder.path / "report/trials.md").read_text()


def test_what_did_not_finish_is_listed_with_its_reason(tmp_path, wide, capsys, plain):
    folder = fabricated.sweep(tmp_path / "s", grid({RATE: [0.1 * n for n in range(1, 25)]}))
    trials = folder.trials()
    fabricated.finished(folder, trials[0], [0.5])
    for trial in trials[1:12]:
        folder.finish(trial, "failed", "the same | thing")
    for trial in trials[12:22]:
        folder.finish(trial, "pruned", f"pruned at step {trial.number}")
    fabricated.record(trials[22], [0.25])
    with folder.claim(trials[22]):
        report.write(folder)
    out = capsys.readouterr().out
    assert "failed (11):\n  0001-0011  the same | thing\n" in out
    assert "pruned (10):\n  0012  pruned at step 12\n" in out
    assert "running (1):\n  0022  at step 10\n" in out
    assert "waiting (1):\n  0023\n" in out
    markdown = (folder.path / "report/trials.md").read_text()
    assert "- 0001-0011  the same \\| thing" in markdown
    assert "| 0022 | 2.3 | 25.00% | 10 |  | running |" in markdown


def test_long_lists_of_reasons_are_cut_on_the_terminal_and_whole_in_the_file(
    tmp_path, capsys, plain
):
    folder = fabricated.sweep(tmp_path / "s", grid({RATE: [0.1 * n for n in range(1, 15)]}))
    for trial in folder.trials():
        folder.finish(trial, "failed", f"reason {trial.number}")
    report.write(folder)
    out = capsys.readouterr().out
    assert "no trial of 14 has finished yet" in out
    assert "and 4 more reasons: report/trials.md" in out
    assert "best again" not in out
    assert "reason 13" in (folder.path / "report/trials.md").read_text()


def test_a_sweep_that_has_hardly_begun_has_a_report(tmp_path, capsys):
    folder = fabricated.sweep(tmp_path / "s")
    report.write(folder)
    assert "no trial of 3 has finished yet" in capsys.readouterr().out
    assert sorted(p.name for p in (folder.path / "report").iterdir()) == [
        "trials.csv",
        "trials.md",
    ]


def test_figures_are_there_for_what_there_is_and_old_ones_are_not_left(tmp_path, capsys):
    folder = fabricated.sweep(tmp_path / "s")
    fabricated.finished(folder, folder.trials()[0], [0.25, 0.5])
    stale = folder.path / "report/parallel.png"
    report.write(folder)
    names = {p.name for p in (folder.path / "report").iterdir()}
    assert names == {"trials.csv", "trials.md", "metric.png", "parallel.png", "curves.png"}
    assert stale.read_bytes().startswith(b"\x89PNG")
    assert "![parallel](parallel.png)" in (folder.path / "report/trials.md").read_text()
    folder.finish(folder.trials()[0], "failed", "taken back")
    report.write(folder.open(folder.path))
    assert not stale.exists()


def test_one_point_has_curves_and_no_parameters_to_draw(tmp_path, wide, capsys):
    folder = fabricated.sweep(tmp_path / "s", grid({RATE: [0.1]}))
    fabricated.finished(folder, folder.trials()[0], [0.5])
    report.write(folder)
    assert "trials.csv, trials.md, curves.png\n" in capsys.readouterr().out


def test_a_narrow_terminal_has_the_parameters_below_one_another(
    tmp_path, monkeypatch, capsys, plain
):
    monkeypatch.setenv("COLUMNS", "60")
    space = grid({f"a_rather_long_name_{n}": (1, 2) for n in range(4)})
    folder = fabricated.sweep(tmp_path / "s", space)
    fabricated.finished(folder, folder.trials()[0], [0.5])
    report.write(folder)
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if line.startswith("│")]
    # Again in a second table, of what does not fit beside them.
    assert [line.split("│")[2].strip() for line in table] == 2 * [
        f"a_rather_long_name_{n} 1" for n in range(4)
    ]


@pytest.mark.parametrize("width", [40, 60, 90])
def test_no_heading_or_number_is_cut_at_any_width(tmp_path, monkeypatch, capsys, plain, width):
    monkeypatch.setenv("COLUMNS", str(width))
    folder = fabricated.sweep(tmp_path / "s", grid({RATE: [0.1], "optimizer.clip_norm": [0.5]}))
    fabricated.finished(folder, folder.trials()[0], [0.5], test=0.25)
    report.write(folder)
    table = [line for line in capsys.readouterr().out.splitlines() if line[:1] in "┃│"]
    text = "".join("".join(table).split())
    assert max(map(len, table)) <= width and "…" not in text
    for words in ("validation/", "accuracy", "test/", "step", "50.00%", "24.00%"):
        assert words in text


def test_a_held_out_split_is_no_metric_of_a_report(tmp_path):
    folder = fabricated.sweep(tmp_path / "s")
    with pytest.raises(UserError, match="'test' is held out"):
        report.write(folder, "test/accuracy")


def test_a_large_sweep_is_read_once(tmp_path, monkeypatch, capsys, plain):
    folder = fabricated.sweep(tmp_path / "s", grid({RATE: [0.001 * n for n in range(1, 301)]}))
    for trial in folder.trials():
        fabricated.record(trial, [0.5])
        folder.finish(trial, "finished")
    read, original = [], summary.read_rows

    def counted(path):
        read.append(path)
        return original(path)

    monkeypatch.setattr(summary, "read_rows", counted)
    report.write(folder)
    assert len(read) == 300


def test_figure_that_fails_costs_no_table(tmp_path, wide, capsys, monkeypatch, caplog):
    def broken(found):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(report.report_figures, "metric_by_parameter", broken)
    folder = fabricated.sweep(tmp_path / "s")
    for trial, value in zip(folder.trials(), (0.5, 0.75, 0.25), strict=True):
        fabricated.finished(folder, trial, [value], test=0.5)
    report.write(folder)
    assert "3 of 3 trials finished" in " ".join(capsys.readouterr().out.split())
    names = {path.name for path in (folder.path / "report").iterdir()}
    assert names == {"trials.csv", "trials.md", "parallel.png", "curves.png"}
    assert "metric.png is missing: RuntimeError: broken on purpose" in caplog.text
