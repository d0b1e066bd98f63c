"""Display of a running sweep: a live table on a terminal, plain lines elsewhere."""

import collections
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cnnlab.metrics.formatting import format_value
from cnnlab.sweeps.folder import STATES, SweepFolder, Trial
from cnnlab.sweeps.trial_metric import Metric
from cnnlab.sweeps.values import text
from cnnlab.utils.console import console as shared

# Trials that have ended and still stand in the live table.
LAST = 8
# Seconds that the counts of all trials stand.
COUNTED = 2.0
STYLES = {"running": "cyan", "finished": "green", "failed": "red", "pruned": "yellow"}


class Row:
    """A trial as the table shows it."""

    def __init__(self, trial: Trial, steps: int):
        """Begin now; steps of the run, 0 if they are not known."""
        self.trial, self.state, self.reason = trial, "running", ""
        self.step, self.steps = 0, steps
        self.value: float | None = None
        self.best: list[tuple[int, float]] = []
        self.began, self.seconds = time.monotonic(), 0.0

    def spent(self) -> str:
        """Return the time spent as minutes and seconds."""
        seconds = self.seconds or time.monotonic() - self.began
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

    def cells(self, metric: str) -> list[str | Text]:
        """Return what the columns have."""
        steps = f"{self.step}/{self.steps}" if self.steps else str(self.step)
        what = describe(self.trial) + (f"\n{self.reason}" if self.reason else "")
        state = Text(self.state, STYLES.get(self.state, ""))
        shown = format_value(metric, self.value)
        return [self.trial.name, what, state, steps, shown, self.spent()]


class Display:
    """Shows the trials of this process, and counts those of all."""

    def __init__(
        self, folder: SweepFolder, console: Console = shared, metric: Metric | None = None
    ):
        """Show nothing yet; within the context the table lives."""
        self.folder, self.console, self.metric = folder, console, metric
        self._rows: dict[int, Row] = {}
        self._done: collections.deque[Row] = collections.deque(maxlen=LAST)
        self._counted, self._summary = -COUNTED, ""
        self._live: Live | None = None
        self._name = metric.name if metric else ""
        self._stopping = ""

    def __enter__(self) -> "Display":
        """Begin to show."""
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was, with the last table on it."""
        if self._live:
            self._live.stop()
            self._live = None
            self.console.print(self.table())

    def started(self, trial: Trial) -> None:
        """Show a trial that begins."""
        steps = trial.overrides.get("steps", self.folder.settings.base.get("steps", 0))
        self._rows[trial.number] = Row(trial, steps)
        self._line(f"trial {trial.name} started: {describe(trial)}")

    def progress(self, trial: Trial, step: int, values: dict[str, float]) -> None:
        """Show how far a trial is."""
        row = self._rows[trial.number]
        row.step = step
        if self.metric is not None and self._name in values:
            points = [*row.best, (step, values[self._name])]
            found = self.metric.of(points)
            row.best = [found] if found else []
            row.value = found[1] if found else None

    def ended(self, trial: Trial, state: str, reason: str, value: float | None) -> None:
        """Show how a trial ended."""
        row = self._rows.pop(trial.number)
        row.seconds = max(time.monotonic() - row.began, 1e-3)
        row.state, row.reason = ("stopped" if state == "waiting" else state), reason
        row.value = row.value if value is None else value
        self._done.append(row)
        shown = (
            f": {self._name} {format_value(self._name, row.value)}" if row.value is not None else ""
        )
        why = f" ({reason})" if reason else ""
        self._line(f"trial {trial.name} {row.state} after {row.spent()}{shown}{why}")

    def waiting(self, count: int) -> None:
        """Say that others run all that is left."""
        self.note(f"waiting for {count} trials that other processes run")

    def stopping(self, name: str) -> None:
        """Say that trials are being stopped."""
        self._stopping = f"{name}: trials save and stop; press Ctrl-C again to end them at once"
        self._line(self._stopping)

    def note(self, message: str) -> None:
        """Print a line, above the table where there is one."""
        self.console.print(message, soft_wrap=True)

    def refresh(self) -> None:
        """Draw the table anew."""
        if self._live:
            self._live.update(self.table(), refresh=True)

    def table(self) -> Group:
        """Return the trials that run, the last that ended, and how many there are of each."""
        table = Table("trial", "overrides", "state", box=None, padding=(0, 2, 0, 0))
        for name in ("step", self._name, "time"):
            table.add_column(name, justify="right")
        for row in [*self._done, *list(self._rows.values())]:
            table.add_row(*row.cells(self._name))
        if not self._stopping and time.monotonic() > self._counted + COUNTED:
            self._counted, self._summary = time.monotonic(), summary(self.folder)
        return Group(table, Text(self._stopping or self._summary))

    def _line(self, message: str) -> None:
        if self._live is None:
            self.note(message)


def describe(trial: Trial) -> str:
    """Return the overrides of a trial as people read them."""
    parts = [f"{key}={text(_short(value))}" for key, value in trial.overrides.items()]
    return ", ".join(parts) or "the config as it is"


def summary(folder: SweepFolder) -> str:
    """Return how many trials are in each state."""
    states = folder.states()
    counts = collections.Counter(states.values())
    parts = [f"{counts[state]} {state}" for state in reversed(STATES) if counts[state]]
    return f"{len(states)} trials: {', '.join(parts) or 'none yet'}"


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
