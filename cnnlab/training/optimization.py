"""The learning-rate schedule and the optimizer that a config's entries describe."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import optax

from cnnlab.errors import UserError
from cnnlab.training import optimizers, schedules
from cnnlab.training.freeze import Freeze


def make_schedule(entry: Any, learning_rate: float, steps: int) -> optax.Schedule:
    """Return the schedule of a config's `schedule` over so many steps.

    Raises:
        UserError: as `schedules.make`, with the entry of the config.
    """
    chosen = entry[entry.name]
    with _naming("schedule", entry):
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
        UserError: as `optimizers.make`, with the entry of the config.
    """
    with _naming("optimizer", entry):
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


@contextlib.contextmanager
def _naming(part: str, entry: Any) -> Iterator[None]:
    """Let a `UserError` that begins with an argument, as `momentum=2`, name the whole entry."""
    try:
        yield
    except UserError as error:
        text = str(error)
        argument = re.match(r"(?:unknown )?(\w+)(?:=| ')", text)
        key = argument[1] if argument else ""
        if key == "learning_rate":
            above = "optimizer."
        elif key in entry[entry.name]:
            above = f"{part}.{entry.name}."
        elif key in entry and key != "name":
            above = f"{part}."
        else:
            raise
        raise UserError(text.replace(key, f"{above}{key}", 1)) from error
