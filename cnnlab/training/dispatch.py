"""How many steps of training one program takes, and that program, from a config."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import optax

from cnnlab.errors import UserError
from cnnlab.training import parallel as parallel_lib
from cnnlab.training import step as step_lib
from cnnlab.training.freeze import Freeze

# On an accelerator a step of a small network takes less time than its dispatch.
MAX_STEPS_PER_DISPATCH = 50


def train_step(
    config: Any,
    experiment: Any,
    optimizer: optax.GradientTransformation,
    prepare: Callable[..., Any],
    freeze: Freeze,
    parallel: parallel_lib.Parallel,
    scan: int,
) -> Callable[..., Any]:
    """Return `scan` steps of training by gradients in one program."""
    step = step_lib.make_train_step(
        experiment,
        optimizer,
        prepare,
        ema_decay=config.ema_decay,
        ema_warmup=config.ema_warmup,
        accumulation=config.accumulation,
        unroll=parallel.platform == "cpu",
        freeze=freeze,
    )
    return step if scan == 1 else step_lib.make_scan(step)


def steps_per_dispatch(wanted: int, marks: Sequence[int], *, many: bool) -> int:
    """Return how many steps a program takes.

    Args:
        wanted: the config's entry; 0: to be chosen.
        marks: numbers of steps after which something else comes.
        many: whether to choose more than one.

    Raises:
        UserError: the entry does not divide all marks.
    """
    common = math.gcd(*marks)
    if wanted == 0:
        most = MAX_STEPS_PER_DISPATCH if many else 1
        return max(k for k in range(1, most + 1) if common % k == 0)
    if wanted < 1 or common % wanted:
        raise UserError(
            f"steps_per_dispatch={wanted} has to divide steps, log_every, evaluate.every and "
            f"checkpoint.every ({', '.join(map(str, marks))})"
        )
    return wanted
