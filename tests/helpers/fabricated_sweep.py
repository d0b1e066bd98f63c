"""Sweep folders with trials that were never trained, for tests of what reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnlab.sweeps.folder import SweepFolder, Trial
from cnnlab.sweeps.settings import Settings
from cnnlab.sweeps.space import Space, grid

ACCURACY = "validation/accuracy"
BASE = {
    "seed": 0,
    "checkpoint.best": ACCURACY,
    "checkpoint.mode": "max",
    "evaluate.every": 10,
    "evaluate.splits": ("validation",),
    "data.eval.splits.validation": "validation",
    "data.eval.splits.test": "test",
    "log_every": 5,
    "optimizer.learning_rate": 0.1,
}
LEARNING_RATES = grid({"optimizer.learning_rate": (0.001, 0.01, 0.1)})


def sweep(path: Path, space: Space = LEARNING_RATES, **changes: Any) -> SweepFolder:
    """Return a new sweep; `changes` are fields of its settings."""
    fields: dict[str, Any] = {
        "config": "configs/digits_lenet5.py",
        "overrides": {},
        "base": BASE,
        "sweep": "configs/sweeps/fabricated.py",
        "space": space,
        "points": [] if changes.get("search") else space.points(),
    }
    return SweepFolder.create(path, Settings(**{**fields, **changes}))


def record(
    trial: Trial,
    values: Sequence[float],
    *,
    metric: str = ACCURACY,
    every: int = 10,
    test: float | None = None,
    **more: float,
) -> None:
    """Write what a run records: `values` of the metric, and once `test` is given, its result."""
    trial.path.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for number, value in enumerate(values, start=1):
        rows.append({"step": number * every, "train/loss": 1.0 / number, "learning_rate": 0.1})
        rows.append({"step": number * every, metric: value, "validation/other": 0.5, **more})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (trial.path / "metrics.jsonl").write_text(text)
    if test is None:
        return
    best = max(range(len(values)), key=lambda number: values[number])
    last = {metric: values[-1], "test/accuracy": test - 0.01, "test/loss": 0.7}
    results = {f"last (step {len(values) * every})": last}
    if best != len(values) - 1:
        kept = {metric: values[best], "test/accuracy": test, "test/loss": 0.5}
        results[f"best {metric} (step {(best + 1) * every})"] = kept
    result = {"reason": "finished", "seconds": 12.5, "results": results}
    (trial.path / "result.json").write_text(json.dumps(result))


def finished(folder: SweepFolder, trial: Trial, values: Sequence[float], test: float = 0.9) -> None:
    """Let a trial have finished with these values."""
    record(trial, values, test=test)
    folder.finish(trial, "finished")
