"""Progress of a run: a live bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from cnnlab.launch import distributed
from cnnlab.metrics.formatting import format_metrics
from cnnlab.utils.console import console


def say_start(what: str) -> None:
    """Print what is about to take long, on the first process."""
    if distributed.is_first():
        console.print(what, soft_wrap=True)


def say_result(what: str, values: Mapping[str, float], began: float) -> None:
    """Print what was evaluated, its numbers and its seconds, on the first process.

    Args:
        what: as "knn on 'test', features".
        values: by name; none for what only trained.
        began: by `time.monotonic`.
    """
    if distributed.is_first():
        seconds = time.monotonic() - began
        numbers = format_metrics(values)
        console.print(f"{what}: {numbers}{'  ' * bool(numbers)}in {seconds:.1f} s", soft_wrap=True)


class ProgressDisplay:
    """Shows steps done, examples a second, time left and the last metrics."""

    def __init__(self, steps: int, start: int, examples_per_step: int):
        """Begin at step `start` of `steps`."""
        self._steps, self._examples = steps, examples_per_step
        self._mark = (time.monotonic(), start)
        self._bar: Progress | None = None
        if console.is_terminal:
            # The metrics get what room the rest leaves: a narrow terminal cuts them, not the time.
            whole, rest = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
            columns = (
                BarColumn(bar_width=20, table_column=whole),
                MofNCompleteColumn(table_column=whole),
                TimeRemainingColumn(table_column=whole),
                TextColumn("{task.description}", markup=False, table_column=rest),
            )
            self._bar = Progress(*columns, console=console, expand=True)
            self._task = self._bar.add_task("", total=steps, completed=start)
            self._bar.start()

    def compiling(self) -> None:
        """Show that the first step waits for the compiler."""
        self._mark = (time.monotonic(), self._mark[1])
        self._show("compiling")

    def compiled(self, step: int) -> None:
        """Show how long the first step took, and leave it out of the rate."""
        self._show(f"compiled in {time.monotonic() - self._mark[0]:.1f} s")
        if self._bar:
            self._bar.reset(self._task, completed=step)
        self.restart_clock(step)

    def _show(self, text: str) -> None:
        if self._bar:
            self._bar.update(self._task, description=text)
        else:
            console.print(text)

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
        # A terminal breaks lines between words; a log has each whole.
        console.print(text, soft_wrap=not console.is_terminal)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._bar.stop()
