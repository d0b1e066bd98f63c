"""What is shown of a running sweep: a table on a terminal, a line for each event elsewhere."""

import io
import re

import stub_sweep
from rich.console import Console

from cnnlab.sweeps import live
from cnnlab.sweeps.trial_metric import Metric

METRIC = Metric("validation/accuracy", "max", "best")


def display(tmp_path, terminal):
    points = [{"optimizer.learning_rate": 0.1234567, "n": n} for n in range(12)]
    folder = stub_sweep.make(tmp_path / "s", points, base={"seed": 0, "steps": 40})
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120, height=40)
    return folder, console, live.Display(folder, console, METRIC)


def events(folder, shown):
    first, second = folder.trials()[:2]
    shown.started(first)
    shown.started(second)
    for step, value in ((10, 0.5), (20, 0.75), (30, 0.625)):
        shown.progress(first, step, {"validation/accuracy": value})
    shown.progress(first, 35, {"train/loss": 1.0})
    folder.finish(second, "failed", "it broke")
    shown.ended(second, "failed", "it broke", None)


def test_lines_say_what_begins_and_how_it_ends(tmp_path):
    folder, console, shown = display(tmp_path, terminal=False)
    with shown:
        events(folder, shown)
        shown.refresh()
        shown.ended(folder.trials()[0], "waiting", "SIGTERM: saved at step 35", None)
        shown.stopping("SIGINT")
        shown.waiting(2)
    # Whatever the time is that it took.
    lines = re.sub(r"\d+:\d\d", "0:00", console.file.getvalue()).splitlines()
    assert lines == [
        "trial 0000 started: optimizer.learning_rate=0.1235, n=0",
        "trial 0001 started: optimizer.learning_rate=0.1235, n=1",
        "trial 0001 failed after 0:00 (it broke)",
        "trial 0000 stopped after 0:00: validation/accuracy 75.00% (SIGTERM: saved at step 35)",
        "SIGINT: trials save and stop; press Ctrl-C again to end them at once",
        "waiting for 2 trials that other processes run",
    ]


def test_table_has_running_and_ended_trials_and_counts_all(tmp_path):
    folder, console, shown = display(tmp_path, terminal=True)
    claim = folder.claim(folder.trials()[0])
    with claim, shown:
        events(folder, shown)
        shown.refresh()
        shown.note("a note")
    text = Console(file=io.StringIO(), width=120)
    text.print(shown.table())
    table = text.file.getvalue()
    assert "35/40" in table
    # The best evaluation so far, as the run keeps it.
    assert "75.00%" in table
    assert "it broke" in table
    assert "12 trials: 1 failed, 1 running, 10 waiting" in table
    assert "a note" in console.file.getvalue()
    assert "started:" not in console.file.getvalue()
    shown.stopping("SIGTERM")
    text.print(shown.table())
    assert "SIGTERM: trials save and stop" in text.file.getvalue()


def test_trial_that_sets_its_steps_is_measured_against_them(tmp_path):
    folder = stub_sweep.make(tmp_path / "s", [{"steps": 7}, {}])
    shown = live.Display(folder, Console(file=io.StringIO()))
    for trial in folder.trials():
        shown.started(trial)
    text = Console(file=io.StringIO(), width=120)
    text.print(shown.table())
    assert "0/7" in text.file.getvalue()
    assert "the config as it is" in text.file.getvalue()
