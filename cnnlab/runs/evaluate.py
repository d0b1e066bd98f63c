"""Evaluation of a checkpoint or a file of weights, every example of the splits exactly once."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab import config_file, objectives
from cnnlab.data.sources import source as sources
from cnnlab.errors import UserError
from cnnlab.launch import distributed
from cnnlab.runs import chosen_evaluators, final_report, representation_report
from cnnlab.training import class_names, run_folder, setup
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.checkpoint_record import Damaged
from cnnlab.training.evaluation import Evaluation
from cnnlab.training.representation_eval import Row
from cnnlab.utils import names
from cnnlab.utils.files import open_file
from cnnlab.utils.registry import suggest

# Of a run, with a line for each result.
FILE = "evaluations.jsonl"
# Names or places, and the text of keywords.
Evaluators = Sequence[tuple[str, Mapping[str, str]]]


@dataclasses.dataclass(frozen=True)
class EvaluatedRun:
    """The numbers of a checkpoint.

    Attributes:
        step: of the checkpoint.
        best: `metric` and `value` that it was chosen by as the best; empty for another checkpoint.
        results: scalars by `split/metric`.
        representation: rows of the evaluators.
    """

    step: int
    best: dict[str, Any]
    results: dict[str, float]
    representation: list[Row]


def evaluate(
    workdir: Path,
    checkpoint: str = "latest",
    splits: Sequence[str] = (),
    data_dir: str = "",
    evaluators: Evaluators = (),
) -> EvaluatedRun:
    """Evaluate a checkpoint with the config that its folder was made with, and draw figures.

    The numbers are added to the run's `evaluations.jsonl`, a line a split, evaluator and endpoint.

    Args:
        workdir: folder of the run.
        checkpoint: latest, best or a step.
        splits: of the config's; () for all.
        data_dir: where the data is now; "" for where the config says.
        evaluators: names and keywords of evaluators to run alone; (): everything that the config
            has.

    Raises:
        UserError: a folder without a run, an unknown split or step, or a damaged checkpoint.
    """
    config = config_file.complete(run_folder.load_config(workdir))
    options = config.checkpoint.copy_and_resolve_references()
    _prepare(config, splits, data_dir, evaluators, "the run")
    checkpoints = Checkpoints(
        workdir / "checkpoints", metric=options.best, mode=options.mode, read_only=True
    )
    step = checkpoints.step_of(checkpoint)
    experiment = objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )
    names = class_names.saved(checkpoints)
    parts = setup.make(config, experiment, resume=True, try_out=bool(evaluators), class_names=names)
    try:
        state, _ = checkpoints.restore(step, parts.state)
    except Damaged as error:
        others = ", ".join(str(s) for s in checkpoints.steps() if s != step)
        raise UserError(f"{error}; other steps: {others or 'none'}") from None
    best: dict[str, Any] = {}
    if checkpoint == "best":
        best = {"metric": options.best, "value": checkpoints.values.of(step)}
    chosen = list(splits or parts.evaluations)
    under = f"figures/step_{step}"
    found: dict[str, Evaluation] = {}
    if not evaluators:
        found = final_report.evaluate_splits(parts, state, chosen)
        of = final_report.run_and_step(workdir, step)
        final_report.report(parts, found, workdir / under, of=of)
    variables = (state.params, state.model_state)
    rows = _rows(parts, f"step {step}", variables, chosen)
    name = parts.train.source.info.name
    distributed.on_first_process(
        lambda: representation_report.draw_roc(rows, workdir, name, under=under, keep=True)
    )
    numbers = {name: evaluation.scalars() for name, evaluation in found.items()}
    _record(workdir, {"step": step, "checkpoint": checkpoint}, numbers, rows)
    return EvaluatedRun(step, best, final_report.scalars(found), rows)


def _rows(parts: setup.Setup, encoder: str, variables: Any, splits: Sequence[str]) -> list[Row]:
    missing: dict[str, str] = {}
    rows = parts.protocols.rows(encoder, variables, splits=tuple(splits), missing=missing) or []
    if missing and not rows:
        raise UserError(": ".join(next(iter(missing.items()))))
    return rows


def _record(
    workdir: Path, which: dict[str, Any], numbers: dict[str, dict[str, float]], rows: list[Row]
) -> None:
    """Add rows to the run's file of evaluations."""
    date = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    lines: list[dict[str, Any]] = [
        {"protocol": "metrics", "split": split, "values": values}
        for split, values in numbers.items()
    ]
    lines += representation_report.plain(rows)
    path = workdir / FILE
    with distributed.optional(str(path)), open_file(path, "a") as file:
        for line in lines:
            file.write(json.dumps({"date": date, **which, **line}) + "\n")


def evaluate_weights(
    config: Any,
    splits: Sequence[str] = (),
    data_dir: str = "",
    evaluators: Evaluators = (),
) -> tuple[dict[str, float], list[Row]]:
    """Return the numbers of the weights that a config starts from, and rows of the evaluators.

    Args:
        config: with the weights in `init_from.path`.
        splits, data_dir, evaluators: as for `evaluate`.

    Raises:
        UserError: no weights, weights that do not fit, or an unknown split.
    """
    if not config.init_from.path:
        raise UserError(
            "--config.init_from.path is missing: the file of weights, or the folder of a run, "
            "whose weights are evaluated"
        )
    _prepare(config, splits, data_dir, evaluators, "the config")
    experiment = objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )
    parts = setup.make(config, experiment, try_out=bool(evaluators))
    chosen = list(splits or parts.evaluations)
    found: dict[str, Evaluation] = {}
    if not evaluators:
        found = final_report.evaluate_splits(parts, parts.state, chosen, keep=False)
    variables = (parts.state.params, parts.state.model_state)
    rows = _rows(parts, "weights", variables, chosen)
    return final_report.scalars(found), rows


def _prepare(
    config: Any, splits: Sequence[str], data_dir: str, evaluators: Evaluators, whose: str
) -> None:
    """Move the data to where it is, take evaluators, and check the names of splits."""
    if evaluators:
        with config.unlocked():
            config.representation.evaluators = chosen_evaluators.entries(evaluators)
        # What else a run computes in its end is not asked for.
        config.representation.baselines, config.checkpoint.best = (), ""
    if data_dir:
        config.data.update(sources.moved(config.data.to_dict(), data_dir))
    names.check_once("--splits", splits)
    for split in splits:
        if split not in config.data.eval.splits:
            raise UserError(
                f"{whose} has no split '{split}'{suggest(split, config.data.eval.splits)}"
            )
