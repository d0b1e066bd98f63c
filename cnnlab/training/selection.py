"""Criterion of the best checkpoint: a metric, its direction, and what it was measured on.

Values are comparable only if all of it is the same. A run that goes on with another metric, or with
a split of that name that now means other examples, judges anew.
"""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.metrics.direction import direction
from cnnlab.training import run_folder
from cnnlab.utils import old_names


def check(metric: str, mode: str, stopping: Any, splits: Collection[str]) -> None:
    """Raise a `UserError` for a metric, a direction or an early stopping that cannot be meant.

    Args:
        metric, mode: the config's `checkpoint.best` and `checkpoint.mode`.
        stopping: its `early_stopping`.
        splits: its `evaluate.splits`.
    """
    split = metric.partition("/")[0]
    if metric and split not in splits:
        raise UserError(f"checkpoint.best='{metric}' needs '{split}' in evaluate.splits")
    if metric:
        direction(metric, mode)
    if stopping.patience < 0 or not 0 <= stopping.min_delta < math.inf:
        raise UserError(
            f"early_stopping.patience={stopping.patience} and min_delta={stopping.min_delta}: "
            "both need to be 0 or more"
        )
    if stopping.patience and not metric:
        raise UserError(
            f"early_stopping.patience={stopping.patience} needs a metric: set checkpoint.best, as "
            "in --config.checkpoint.best=validation/loss, or patience=0"
        )


def criterion(
    best: str,
    mode: str,
    evaluations: Mapping[str, Any],
    *,
    data: Mapping[str, Any],
    experiment: Mapping[str, Any],
    evaluators: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the best checkpoint is chosen by, JSON-like; saved beside each checkpoint.

    Args:
        best: `checkpoint.best`, the metric.
        mode: "max" or "min".
        evaluations: the opened splits.
        data, experiment: entries of the config, which the metric depends on.
        evaluators: its `representation.evaluators`, one of which may give the metric.
    """
    if not best:
        return {"metric": ""}
    split, _, metric = best.partition("/")
    found = {
        "metric": best,
        "mode": mode,
        "examples": evaluations[split].description(),
        "preprocess": json.dumps(data["eval"]["preprocess"], sort_keys=True),
        "normalize": data["normalize"],
        "experiment": experiment,
    }
    for evaluator, entry in evaluators.items():
        if metric.startswith(f"{evaluator}_"):
            found |= {"evaluator": entry, "bank": data["train"]["split"]}
    return json.loads(json.dumps(found))


def changes(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for everything in which two criteria differ; none: values are comparable.

    Entries that only one has are of another version and do not count. The examples of a split that
    is held in memory are compared by their content, wherever it came from.
    """
    before, after = map(run_folder.flatten, (old_names.updated(saved), now))
    content = "examples.content"
    ignored = {content}
    if None not in (before.get(content), after.get(content)):
        names = [key for key in before if key.startswith("examples.")]
        ignored = {*names, "preprocess"} - {content}
    both = [key for key in before if key in after and key not in ignored]
    return [f"{key}: {before[key]} -> {after[key]}" for key in both if before[key] != after[key]]


def of_earlier_version(workdir: Path) -> dict[str, Any]:
    """Return the criterion of checkpoints that were saved without: what the config had then."""
    if not (workdir / "config.json").exists():
        return {}
    kept = run_folder.read_config(workdir)["checkpoint"]
    mode = {} if kept["mode"] == "auto" else {"mode": kept["mode"]}
    return {"metric": kept["best"], **mode}
