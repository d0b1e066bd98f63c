"""Range checks of a config: counts out of their range, and numbers that are not finite."""

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cnnlab.errors import UserError

# Steps and the sizes of arrays are 32-bit integers on the device.
MAX_COUNT = 2**31 - 1
# Of numbers on the device, which are float32.
MAX_FLOAT = float(np.finfo(np.float32).max)
# What a config holds, in tuples too.
PLAIN = (bool, int, float, str)
# The least and the largest value of counts.
COUNTS = {
    "steps": (0, MAX_COUNT),
    "batch_size": (1, MAX_COUNT),
    "accumulation": (1, MAX_COUNT),
    "log_every": (1, MAX_COUNT),
    "eval_every": (1, MAX_COUNT),
    "evaluate.every": (1, MAX_COUNT),
    "evaluate.batch_size": (1, MAX_COUNT),
    "checkpoint.every": (1, MAX_COUNT),
    "checkpoint.keep": (0, MAX_COUNT),
    "parallel.devices": (0, MAX_COUNT),
    **{
        f"representation.{part}.{name}": (0, MAX_COUNT)
        for part in ("supervised", "fine_tune")
        for name in ("steps", "batch_size", "per_class")
    },
    # All views of a batch are in memory at once.
    "data.train.views": (1, 64),
    # Far more of them than cores slow a machine down until it seems to hang.
    "data.grain.threads": (1, 1024),
    "data.grain.workers": (0, 256),
    "seed": (0, 2**63 - 1),
}


def check(config: Any) -> None:
    """Raise a `UserError` for a count out of its range, NaN, or a length that is none."""
    for path, (least, most) in COUNTS.items():
        value = functools.reduce(lambda entry, key: entry[key], path.split("."), config)
        if value < least:
            raise UserError(f"{path}={value}: needs to be at least {least}")
        if value > most:
            raise UserError(f"{path}={value}: needs to be at most {most}")
    for path, value in _leaves(config.to_dict()):
        # Scalars of numpy have an item.
        if not (value is None or isinstance(value, PLAIN) or hasattr(value, "item")):
            raise UserError(f"{path} holds {value!r:.60}: needs numbers, text, true or false")
        if isinstance(value, float) and math.isnan(value):
            raise UserError(f"{path}={value}: needs a number")
        if isinstance(value, float) and MAX_FLOAT < abs(value) < math.inf and path != "epochs":
            raise UserError(f"{path}={value}: needs a number up to {MAX_FLOAT:.1e}, as in float32")
        if isinstance(value, int) and abs(value) > MAX_COUNT and path not in COUNTS:
            raise UserError(f"{path}={value}: needs a number below 2**31")
    steps, epochs = config.steps, config.epochs
    if not 0 <= epochs <= MAX_COUNT:
        raise UserError(f"epochs={epochs}: needs a number from 0 to {MAX_COUNT}")
    if (steps > 0) == (epochs > 0):
        remedy = "set one of them above zero"
        if steps:
            remedy = "both are above zero, set one to 0: --config.epochs=0 or --config.steps=0"
        raise UserError(f"steps={steps} and epochs={epochs}: {remedy}")


def length(examples: int, *, steps: int, epochs: float, batch_size: int) -> int:
    """Return the length of a run in steps; `epochs` are counted in whole batches.

    Raises:
        UserError: for more steps than a run can count.
    """
    found = steps or math.ceil(epochs * examples / batch_size)
    if found > MAX_COUNT:
        raise UserError(f"epochs={epochs}: {found} steps are more than {MAX_COUNT}")
    return found


def _leaves(entry: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and value of every entry, those in tuples under the path of the tuple."""
    if isinstance(entry, Mapping):
        for key, inner in entry.items():
            yield from _leaves(inner, f"{above}.{key}" if above else str(key))
    elif isinstance(entry, tuple | list):
        for inner in entry:
            yield from _leaves(inner, above)
    else:
        yield above, entry
