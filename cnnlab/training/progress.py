"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cnnlab.utils.console import console


def format_value(name: str, value: float | None) -> str:
    """Return a metric as people read it: a percentage where it is a share."""
    if value is None:
        return ""
    share = "accuracy" in name or name.endswith(("top5", "exact_match"))
    return f"{value:.2%}" if share else f"{value:.4g}"


def format_metrics(values: Mapping[str, float]) -> str:
    """Return the metrics of a record on one line."""
    return "  ".join(
        f"{name.removeprefix('train/')} {format_value(name, value)}"
        for name, value in values.items()
    )


class ProgressDisplay:
    """Shows steps done, examples a second, time left and the last metrics."""

    def __init__(self, steps: int, start: int, examples_per_step: int):
        """Begin at step `start` of `steps`."""
        self._steps, self._examples = steps, examples_per_step
        self._mark = (time.monotonic(), start)
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.description}", markup=False),
            )
            self._bar = Progress(*columns, console=console)
            self._task = self._bar.add_task("compiling", total=steps, completed=start)
            self._bar.start()

    def step(self, step: int) -> None:
        """Move the bar."""
        if self._bar:
            self._bar.update(self._task, completed=step)

    def restart_clock(self, step: int) -> None:
        """Leave what happened until now (an evaluation, a compilation) out of the next rate."""
        self._mark = (time.monotonic(), step)

    def record(self, step: int, values: Mapping[str, float]) -> float:
        """Show a training record; return the examples a second since the last mark."""
        then, before = self._mark
        now = time.monotonic()
        rate = (step - before) * self._examples / max(now - then, 1e-9)
        self._mark = (now, step)
        text = f"{rate:,.0f} examples/s  {format_metrics(values)}"
        if self._bar:
            self._bar.update(self._task, completed=step, description=text)
        else:
            eta = "--:--"  # the clock has just been restarted
            if rate:
                left = (self._steps - step) * self._examples / rate
                minutes, seconds = divmod(round(left), 60)
                eta = f"{minutes}:{seconds:02d}"
            console.print(f"step {step}/{self._steps}  eta {eta}  {text}", soft_wrap=True)
        return rate

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        console.print(text, soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._bar.stop()
