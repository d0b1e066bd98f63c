"""Results of a sweep, read from its folder: every trial, and points over their seeds."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from cnnlab.errors import UserError
from cnnlab.metrics.curve import Curve
from cnnlab.sweeps import trial_metric
from cnnlab.sweeps.distributions import Integers, LogUniform
from cnnlab.sweeps.folder import SweepFolder, Trial
from cnnlab.sweeps.trial_metric import Metric
from cnnlab.training.writer import read_rows


@dataclasses.dataclass(frozen=True)
class Row:
    """A trial.

    Attributes:
        trial: which.
        state, reason, attempts: as the folder has them.
        curve: (step, value) of the metric, in order; of a long one, points at even distances.
        step, value: where the metric counts, and what it is there; None before an evaluation.
        held_out: numbers on splits that nothing is chosen by, of a finished trial.
        seconds: of training, of a finished trial.
    """

    trial: Trial
    state: str
    reason: str
    attempts: int
    curve: list[tuple[int, float]]
    step: int | None
    value: float | None
    held_out: dict[str, float]
    seconds: float | None

    @property
    def counts(self) -> bool:
        """Return whether the trial is one to choose: finished, with a value."""
        return self.state == "finished" and self.value is not None


@dataclasses.dataclass(frozen=True)
class Point:
    """The trials of one point, which differ in their seed.

    Attributes:
        number: of the point.
        rows: its trials.
        values: of those that finished.
    """

    number: int
    rows: list[Row]
    values: list[float]

    @property
    def mean(self) -> float:
        """Return the mean of the values."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Return the standard deviation (n - 1) of the values; None for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def complete(self) -> bool:
        """Return whether every trial of the point has finished."""
        return len(self.values) == len(self.rows)


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An entry of the config that differs between trials.

    Attributes:
        name: dotted.
        scale: `linear`, `log` or `category`.
        categories: of a category, in order, as text.
    """

    name: str
    scale: str
    categories: tuple[str, ...] = ()

    def position(self, value: Any) -> float:
        """Return where a value is on the parameter's axis: itself, or its category's place."""
        if self.scale == "category":
            return float(self.categories.index(short(value)))
        return float(value)


@dataclasses.dataclass(frozen=True)
class Summary:
    """A sweep, read.

    Attributes:
        folder: of the sweep.
        metric: that trials are compared by.
        rows: its trials, in order.
        ranked: points with a finished trial, the best first: by the mean over seeds, those of
            which every trial finished before the others.
        parameters: what differs between the trials, seeds that repeat a point left out.
    """

    folder: SweepFolder
    metric: Metric
    rows: list[Row]
    ranked: list[Point]
    parameters: list[Parameter]

    def in_state(self, *states: str) -> list[Row]:
        """Return the trials in one of several states."""
        return [row for row in self.rows if row.state in states]

    def labels(self) -> list[str]:
        """Return the parameters' names without the front that none of them needs to differ."""
        names = [parameter.name.split(".") for parameter in self.parameters]
        found = []
        for name in names:
            # "name" alone says nothing of what it names.
            shortest = 2 if name[-1] == "name" else 1
            tails = (name[-length:] for length in range(min(shortest, len(name)), len(name) + 1))
            own = next(t for t in tails if sum(n[-len(t) :] == t for n in names) == 1)
            found.append(".".join(own))
        return found

    def setting(self, row: Row, name: str) -> Any:
        """Return what a trial has for an entry of the config, set by the sweep or not."""
        return row.trial.overrides.get(name, self.folder.settings.base.get(name))


def read(folder: SweepFolder, metric: str = "", mode: str = "") -> Summary:
    """Read a sweep, finished or not.

    Args:
        folder: of the sweep.
        metric, mode: what to compare by; empty: as the sweep was made with, or else what its
            config keeps the best checkpoint by.

    Raises:
        UserError: for a metric that no trial reports.
    """
    settings = folder.settings
    if not metric and settings.metric:
        metric, mode = settings.metric, mode or settings.mode
    compared = trial_metric.metric_for(settings.base, metric, mode)
    selected = tuple(settings.base.get("evaluate.splits", ()))
    rows = [_row(folder, trial, compared, selected) for trial in folder.trials()]
    if not any(row.curve for row in rows):
        names = {name for row in rows for name in _names(row.trial)}
        trial_metric.check_reported(compared.name, names)
    points: dict[int, list[Row]] = {}
    for row in rows:
        points.setdefault(row.trial.point, []).append(row)
    several = [
        Point(number, group, [row.value for row in group if row.counts and row.value is not None])
        for number, group in points.items()
    ]
    ranked = sorted(
        (point for point in several if point.values),
        key=lambda point: (not point.complete, -compared.sign * point.mean),
    )
    return Summary(folder, compared, rows, ranked, _parameters(folder, rows))


def short(value: Any) -> str:
    """Return a value of a config as tables and figures have it."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.4g}"


def _row(folder: SweepFolder, trial: Trial, metric: Metric, selected: Sequence[str]) -> Row:
    state, record = folder.state(trial), folder.record(trial)
    curve = Curve()

    def points() -> Iterator[tuple[int, float]]:
        rows = read_rows(trial.path / "metrics.jsonl")
        for point in trial_metric.curve(rows, metric.name):
            if math.isfinite(point[1]):
                curve.add(*point)
                yield point

    try:
        counted = metric.of(points())
        result = trial_metric.read_result(trial.path) if state == "finished" else {}
    except UserError as error:
        # One damaged file is that trial's failure, not the report's.
        curve, counted, result, state = Curve(), None, {}, "failed"
        record = dataclasses.replace(record, reason=str(error))
    step, value = counted or (None, None)
    held_out = trial_metric.held_out(result, metric.kind, selected)
    return Row(
        trial,
        state,
        record.reason,
        record.attempts,
        curve.points,
        step,
        value,
        held_out,
        result.get("seconds"),
    )


def _names(trial: Trial) -> set[str]:
    try:
        return {name for row in read_rows(trial.path / "metrics.jsonl") for name in row}
    except UserError:
        return set()


def _parameters(folder: SweepFolder, rows: Sequence[Row]) -> list[Parameter]:
    repeated = {"seed"} if folder.settings.repeat > 1 else set()
    names = dict.fromkeys(name for row in rows for name in row.trial.overrides)
    drawn = folder.settings.space.parameters()
    found = []
    for name in names:
        if name in repeated:
            continue
        default = folder.settings.base.get(name)
        values = [row.trial.overrides.get(name, default) for row in rows]
        texts = list(dict.fromkeys(map(short, sorted(values, key=_order))))
        if len(texts) < 2:
            continue
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < len(values):
            found.append(Parameter(name, "category", tuple(texts)))
        else:
            log = _is_log(drawn.get(name), sorted(set(map(float, numbers))))
            found.append(Parameter(name, "log" if log else "linear"))
    return found


def _order(value: Any) -> tuple[str, list[tuple[str, Any]]]:
    """Return what sorts values of any types: numbers by size, tuples entry by entry."""
    if isinstance(value, tuple):
        return "tuple", [_order(entry) for entry in value]
    if isinstance(value, int | float):
        return "", [("", value)]
    return type(value).__name__, [("", str(value))]


def _is_log(distribution: Any, values: Sequence[int | float]) -> bool:
    """Return whether a parameter was drawn, or listed, on a logarithmic scale."""
    if isinstance(distribution, LogUniform) or (
        isinstance(distribution, Integers) and distribution.log
    ):
        return True
    if len(values) < 3 or values[0] <= 0 or getattr(distribution, "low", None) is not None:
        return False
    steps = [b - a for a, b in itertools.pairwise(values)]
    ratios = [math.log(b / a) for a, b in itertools.pairwise(values)]
    return _spread(ratios) < _spread(steps)


def _spread(values: Sequence[float]) -> float:
    return statistics.pstdev(values) / statistics.fmean(values)
