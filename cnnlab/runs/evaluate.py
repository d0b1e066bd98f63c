"""Evaluation of a checkpoint or a file of weights, every example of the splits exactly once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnlab import config_file, objectives
from cnnlab.data.sources import source as sources
from cnnlab.errors import UserError
from cnnlab.runs import final_report
from cnnlab.training import class_names, run_folder, setup
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.checkpoint_record import Damaged
from cnnlab.training.representation_eval import Row
from cnnlab.utils.registry import suggest


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
    workdir: Path, checkpoint: str = "latest", splits: Sequence[str] = (), data_dir: str = ""
) -> EvaluatedRun:
    """Evaluate a checkpoint with the config that its folder was made with, and draw figures.

    Args:
        workdir: folder of the run.
        checkpoint: latest, best or a step.
        splits: of the config's; () for all.
        data_dir: where the data is now; "" for where the config says.

    Raises:
        UserError: a folder without a run, an unknown split or step, or a damaged checkpoint.
    """
    config = config_file.complete(run_folder.load_config(workdir))
    _prepare(config, splits, data_dir, "the run")
    options = config.checkpoint
    checkpoints = Checkpoints(
        workdir / "checkpoints", metric=options.best, mode=options.mode, read_only=True
    )
    step = checkpoints.step_of(checkpoint)
    experiment = objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )
    names = class_names.saved(checkpoints)
    parts = setup.make(config, experiment, resume=True, try_out=False, class_names=names)
    try:
        state, _ = checkpoints.restore(step, parts.state)
    except Damaged as error:
        others = ", ".join(str(s) for s in checkpoints.steps() if s != step)
        raise UserError(f"{error}; other steps: {others or 'none'}") from None
    best: dict[str, Any] = {}
    if checkpoint == "best":
        best = {"metric": options.best, "value": checkpoints.values.of(step)}
    chosen = list(splits or parts.evaluations)
    evaluations = final_report.evaluate_splits(parts, state, chosen)
    final_report.report(parts, evaluations, workdir)
    variables = (state.params, state.model_state)
    rows = parts.protocols.rows(f"step {step}", variables, splits=tuple(chosen)) or []
    return EvaluatedRun(step, best, final_report.scalars(evaluations), rows)


def evaluate_weights(
    config: Any, splits: Sequence[str] = (), data_dir: str = ""
) -> tuple[dict[str, float], list[Row]]:
    """Return the numbers of the weights that a config starts from, and rows of the evaluators.

    Args:
        config: with the weights in `init_from.path`.
        splits: as for `evaluate`, and
        data_dir: too.

    Raises:
        UserError: no weights, weights that do not fit, or an unknown split.
    """
    if not config.init_from.path:
        raise UserError(
            "--config.init_from.path is missing: the file of weights, or the folder of a run, "
            "whose weights are evaluated"
        )
    _prepare(config, splits, data_dir, "the config")
    experiment = objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )
    parts = setup.make(config, experiment, try_out=False)
    chosen = list(splits or parts.evaluations)
    found = final_report.evaluate_splits(parts, parts.state, chosen, keep=False)
    variables = (parts.state.params, parts.state.model_state)
    rows = parts.protocols.rows("weights", variables, splits=tuple(chosen)) or []
    return final_report.scalars(found), rows


def _prepare(config: Any, splits: Sequence[str], data_dir: str, whose: str) -> None:
    """Move the data to where it is, and check the names of splits."""
    if data_dir:
        config.data.update(sources.moved(config.data.to_dict(), data_dir))
    for split in splits:
        if split not in config.data.eval.splits:
            raise UserError(
                f"{whose} has no split '{split}'{suggest(split, config.data.eval.splits)}"
            )
