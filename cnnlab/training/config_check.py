"""Check of a config by itself, before data is opened or a model is created."""

from typing import Any

from cnnlab import objectives
from cnnlab.data.preprocess import transforms
from cnnlab.errors import UserError
from cnnlab.training import (
    baselines,
    initialization,
    limits,
    optimization,
    optimizers,
    representation_entries,
    schedules,
    selection,
    transfer,
)
from cnnlab.training.freeze import Freeze
from cnnlab.utils import memory, names, param_paths
from cnnlab.utils.registry import pick


def check(config: Any) -> None:
    """Raise a `UserError` for an entry of a config that cannot be meant."""
    limits.check(config)
    pick(schedules.SCHEDULES, config.schedule.name, "schedule")
    pick(optimizers.OPTIMIZERS, config.optimizer.name, "optimizer")
    if not 0 <= config.ema_decay < 1:
        raise UserError(f"ema_decay={config.ema_decay}: needs [0, 1); 0 switches it off")
    if not config.data["keys"]:
        raise UserError("data.keys=(): names nothing to read, as in \"('image', 'label')\"")
    splits = config.data.eval.splits
    if config.evaluate.splits and not splits:
        raise UserError(
            "data.eval.splits={}: names nothing to evaluate, as in \"{'validation': 'test'}\""
        )
    names.check("data.eval.splits", splits)
    names.check_once("evaluate.splits", config.evaluate.splits)
    for split in config.evaluate.splits:
        if split not in splits:
            raise UserError(
                f"evaluate.splits names '{split}'; data.eval.splits has: {', '.join(splits)}"
            )
    for split in config.data.eval.sources:
        if split not in splits:
            raise UserError(
                f"data.eval.sources names '{split}'; data.eval.splits has: {', '.join(splits)}"
            )
    for part, batch in (("train", config.batch_size), ("eval", config.evaluate.batch_size)):
        chosen = config.data[part].preprocess
        transforms.check(chosen)
        needed = transforms.size_in_bytes(chosen, batch)
        memory.check(needed, f"data.{part}.preprocess, with a batch of {batch} examples,")
    representation_entries.check(config.representation, list(splits), config.evaluate.every)
    baselines.check(config.representation.baselines)
    best, mode = config.checkpoint.best, config.checkpoint.mode
    selection.check(best, mode, config.early_stopping, config.evaluate.splits)
    heads = objectives.head_names(config.experiment.to_dict(), config.model.to_dict())
    # A run measured in epochs gets its length from the data; any long one does for now.
    steps, rate = config.steps or 10**9, config.optimizer.learning_rate
    schedule = optimization.make_schedule(config.schedule, rate, steps)
    optimization.make_optimizer(config.optimizer, schedule, Freeze(config.freeze, heads), heads)
    initialization.make(config.init.to_dict())
    transfer.check(config.init_from, config.init.name)
    for pattern in config.freeze:
        param_paths.expression(pattern, "freeze")
