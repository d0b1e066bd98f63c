"""Metric of a trial: the value that trials are compared by, its curve, and held-out numbers.

For the metric that selects the best checkpoint, the value is the best over a run's evaluations; for
any other metric it is the last one. Splits that are not evaluated during training (test) are
reported and never compared.
"""

import collections
import dataclasses
import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.metrics.direction import direction
from cnnlab.training import run_folder
from cnnlab.training.writer import read_rows

# What is read of a result.
RESULT = {"results?": {str: run_folder.NUMBERS}, "seconds?": (float, int)}


@dataclasses.dataclass(frozen=True)
class Metric:
    """What trials are compared by.

    Attributes:
        name: as in metrics.jsonl, `validation/accuracy`.
        mode: `max` or `min`.
        kind: `best` (over a run's evaluations) or `last`.
    """

    name: str
    mode: str
    kind: str

    @property
    def sign(self) -> int:
        """Return 1 where more is better, else -1."""
        return 1 if self.mode == "max" else -1

    def of(self, curve: Iterable[tuple[int, float]]) -> tuple[int, float] | None:
        """Return step and value that count in a curve; None if it has none."""
        points = (point for point in curve if math.isfinite(point[1]))
        if self.kind == "last":
            return next(iter(collections.deque(points, maxlen=1)), None)
        # The first of equals, as the run keeps it.
        return max(points, key=lambda point: (self.sign * point[1], -point[0]), default=None)


def metric_for(base: Mapping[str, Any], name: str = "", mode: str = "") -> Metric:
    """Return the metric that a sweep compares by.

    Args:
        base: the config under dotted names.
        name, mode: what was asked for; empty: what the config keeps its best checkpoint by.

    Raises:
        UserError: if there is none, it is of a split that runs do not evaluate on the way, or
            whether more or less of it is better is unknown or contradicted.
    """
    kept, kept_mode = base.get("checkpoint.best", ""), base.get("checkpoint.mode", "auto")
    name = name or kept
    if not name:
        raise UserError(
            "the config keeps no best checkpoint (checkpoint.best is empty): name what trials are "
            "compared by, as --metric=validation/loss"
        )
    if not mode:
        mode = kept_mode if name == kept else "auto"
    mode = direction(name, mode, metric_entry="--metric", mode_entry="--mode")
    split = name.partition("/")[0]
    evaluated = tuple(base.get("evaluate.splits", ()))
    held_out = [key.rpartition(".")[2] for key in base if key.startswith("data.eval.splits.")]
    if split in held_out and split not in evaluated:
        raise UserError(
            f"--metric={name}: '{split}' is held out, and never what trials are chosen by; "
            f"evaluated while training: {', '.join(evaluated) or 'nothing'}"
        )
    # With its kept mode "auto" the direction is the one implied, which `mode` is by now.
    same = name == kept and kept_mode in ("auto", mode)
    return Metric(name, mode, "best" if same else "last")


def curve(rows: Iterable[Mapping[str, Any]], name: str) -> Iterator[tuple[int, float]]:
    """Yield (step, value) of a metric, in order."""
    return ((int(row["step"]), float(row[name])) for row in rows if name in row)


def measured(path: Path, metric: Metric) -> tuple[int, float] | None:
    """Return step and value that count in a run folder; None where nothing was evaluated yet.

    Raises:
        UserError: if the run reports other metrics than this.
    """
    file = path / "metrics.jsonl"
    found = metric.of(curve(read_rows(file), metric.name))
    if found is None:
        check_reported(metric.name, {name for row in read_rows(file) for name in row})
    return found


def check_reported(metric: str, names: Iterable[str]) -> None:
    """Raise a `UserError` for a metric that is not among those of its split.

    Nothing is said while nothing of the split is there: its evaluation is yet to come.
    """
    names = set(names)
    split = metric.partition("/")[0]
    there = sorted(name for name in names if "/" in name and not name.startswith("time/"))
    if metric not in names and any(name.partition("/")[0] == split for name in there):
        near = difflib.get_close_matches(metric, there, n=1, cutoff=0.8)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise UserError(f"no run reports --metric={metric}{hint} Reported: {', '.join(there)}")


def read_result(path: Path) -> dict[str, Any]:
    """Return the result.json of a run folder; empty where there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        return run_folder.read_result(path, RESULT)
    except FileNotFoundError:
        return {}


def held_out(result: Mapping[str, Any], kind: str, selected: Iterable[str]) -> dict[str, float]:
    """Return the numbers of a finished run on splits that it was not selected on.

    Args:
        result: its result.json.
        kind: `best`: of the best checkpoint, `last`: of the last.
        selected: splits that the run evaluated while it trained.
    """
    results: dict[str, dict[str, float]] = result.get("results", {})
    # "last (step 50)" alone is there where the last step was the best.
    chosen = next((row for name, row in results.items() if name.startswith(f"{kind} ")), None)
    row = chosen or next(iter(results.values()), {})
    return {name: value for name, value in row.items() if name.partition("/")[0] not in selected}
