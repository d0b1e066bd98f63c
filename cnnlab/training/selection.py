"""What the best checkpoint is chosen by: a metric, its direction, and what it was measured on.

Values are comparable only if all of it is the same. A run that goes on with another metric, or with
a split of that name that now means other examples, judges anew.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.metrics.direction import direction
from cnnlab.training import run_folder
from cnnlab.utils import old_names


def check(config: Any) -> None:
    """Raise a `UserError` for a metric, a direction or an early stopping that cannot be meant."""
    metric, stopping = config.checkpoint.best, config.early_stopping
    split = metric.partition("/")[0]
    if metric and split not in config.evaluate.splits:
        raise UserError(f"checkpoint.best='{metric}' needs '{split}' in evaluate.splits")
    if metric:
        direction(metric, config.checkpoint.mode)
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


def criterion(config: Any, evaluations: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Return what `checkpoint.best` is, JSON-like; saved beside each checkpoint.

    Args:
        config: of the run.
        evaluations: the opened splits.
        mode: "max" or "min".
    """
    name = config.checkpoint.best
    if not name:
        return {"metric": ""}
    split, _, metric = name.partition("/")
    found = {
        "metric": name,
        "mode": mode,
        "examples": evaluations[split].description(),
        "preprocess": json.dumps(config.data.eval.preprocess.to_dict(), sort_keys=True),
        "normalize": config.data.normalize.to_dict(),
        "experiment": config.experiment.to_dict(),
    }
    for evaluator, entry in config.representation.evaluators.items():
        if metric.startswith(f"{evaluator}_"):
            found |= {"evaluator": entry.to_dict(), "bank": config.data.train.split}
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
