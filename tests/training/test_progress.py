"""Progress: plain lines for a log, a bar on a terminal, numbers as people read them."""

import io

from rich.console import Console

from cnnlab.training import progress


def shown(monkeypatch, terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, highlight=False)
    monkeypatch.setattr(progress, "console", console)
    clock = iter(range(0, 100, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    return text


def test_lines_give_rate_time_left_and_metrics(monkeypatch):
    text = shown(monkeypatch, terminal=False)
    display = progress.ProgressDisplay(steps=100, start=0, examples_per_step=64)
    display.step(25)
    # 25 steps of 64 in the 10 seconds between two looks at the clock.
    assert display.record(25, {"train/loss": 0.5, "train/accuracy": 0.875}) == 160
    display.note("step 25  validation/accuracy 80.00%")
    display.close()
    assert text.getvalue().splitlines() == [
        "step 25/100  eta 0:30  160 examples/s  loss 0.5  accuracy 87.50%",
        "step 25  validation/accuracy 80.00%",
    ]


def test_time_spent_elsewhere_does_not_slow_the_rate(monkeypatch):
    shown(monkeypatch, terminal=False)
    display = progress.ProgressDisplay(steps=100, start=0, examples_per_step=1)
    display.restart_clock(20)
    assert display.record(30, {}) == 1.0


def test_without_a_rate_there_is_no_time_left_to_tell(monkeypatch):
    text = shown(monkeypatch, terminal=False)
    display = progress.ProgressDisplay(steps=100, start=0, examples_per_step=1)
    display.restart_clock(1)
    display.record(1, {})
    assert text.getvalue().startswith("step 1/100  eta --:--  0 examples/s")


def test_terminal_gets_a_bar(monkeypatch):
    text = shown(monkeypatch, terminal=True)
    monkeypatch.undo()
    console = Console(file=text, force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr(progress, "console", console)
    display = progress.ProgressDisplay(steps=10, start=2, examples_per_step=8)
    display.compiling()
    display.compiled(3)
    display.record(5, {"train/loss": 0.25})
    display.close()
    assert "5/10" in text.getvalue()
    assert "loss 0.25" in text.getvalue()


def test_the_first_step_waits_for_the_compiler_and_is_left_out_of_the_rate(monkeypatch):
    text = shown(monkeypatch, terminal=False)
    display = progress.ProgressDisplay(steps=100, start=0, examples_per_step=1)
    display.compiling()
    display.compiled(1)
    assert display.record(11, {}) == 1.0
    assert text.getvalue().splitlines()[:2] == ["compiling", "compiled in 10.0 s"]


def test_a_narrow_terminal_cuts_metrics_and_never_the_time_left(monkeypatch):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80, highlight=False)
    monkeypatch.setattr(progress, "console", console)
    display = progress.ProgressDisplay(steps=100_000, start=0, examples_per_step=8)
    display.compiling()
    display.record(50_000, {f"train/metric{i}": 0.25 for i in range(9)})
    display.close()
    last = text.getvalue().splitlines()[-2]
    assert "50000/100000" in last
    assert "-:--:--" in last or "0:" in last
    assert "examples/s" in last
    assert "…" in last


def test_a_result_is_a_line_with_its_seconds(monkeypatch):
    text = shown(monkeypatch, terminal=False)
    progress.say_result("knn on 'test', features", {"accuracy": 0.967}, began=-3.0)
    progress.say_result("control 'supervised'", {}, began=-3.0)
    assert text.getvalue().splitlines() == [
        "knn on 'test', features: accuracy 96.70%  in 3.0 s",
        "control 'supervised': in 13.0 s",
    ]


def test_the_time_left_on_a_terminal_knows_nothing_of_the_compilation(monkeypatch):
    shown(monkeypatch, terminal=True)
    display = progress.ProgressDisplay(steps=100, start=0, examples_per_step=1)
    seconds = 0.0
    display._bar.get_time = lambda: seconds
    display.compiling()
    seconds = 60.0
    display.compiled(1)
    for step in (2, 3, 4):
        seconds += 1
        display.step(step)
    assert display._bar.tasks[0].time_remaining == 96
    display.close()
