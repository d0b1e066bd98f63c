"""The learning-rate schedule and the optimizer that a config's entries describe."""

from collections.abc import Sequence
from typing import Any

import optax

from cnnlab.training import optimizers, schedules
from cnnlab.training.freeze import Freeze


def make_schedule(entry: Any, learning_rate: float, steps: int) -> optax.Schedule:
    """Return the schedule of a config's `schedule` over so many steps.

    Raises:
        UserError: as `schedules.make`.
    """
    chosen = entry[entry.name]
    return schedules.make(entry.name, learning_rate, steps, warmup=entry.warmup, **chosen)


def make_optimizer(
    entry: Any, schedule: optax.Schedule, freeze: Freeze, heads: Sequence[str]
) -> optax.GradientTransformation:
    """Return the optimizer of a config's `optimizer`.

    Args:
        entry: of the config.
        schedule: of the learning rate.
        freeze: parameters without an update.
        heads: names of the modules that "head" stands for.

    Raises:
        UserError: as `optimizers.make`.
    """
    optimizer = optimizers.make(
        entry.name,
        schedule,
        weight_decay=entry.weight_decay,
        clip_norm=entry.clip_norm,
        decay_mask=entry.decay_mask,
        multipliers=entry.multipliers,
        heads=heads,
        **entry[entry.name],
    )
    return freeze.optimizer(optimizer)
