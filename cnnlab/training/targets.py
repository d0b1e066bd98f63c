"""Checks that batches hold what the objective reads: its inputs, groups and targets."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cnnlab.data import device_transform
from cnnlab.data.augment import MIXING
from cnnlab.data.sources.info import INPUTS
from cnnlab.data.spatial_targets import DROPPED, VALID
from cnnlab.errors import UserError
from cnnlab.utils.registry import suggest

# What makes examples of a training batch so.
SETTINGS = {
    "single": "single examples: set --config.data.train.sampler.name=shuffle and "
    "--config.data.train.views=1",
    "pairs": "pairs: set --config.data.train.sampler.name=pairs",
    "views": "{group} views of each image: set --config.data.train.views={group}",
}


def grouped(train: Mapping[str, Any], experiment: Any, name: str) -> Any:
    """Return the objective with the size of the groups that the data has.

    Args:
        train: the config's `data.train`.
        experiment: the objective.
        name: of it, for messages.

    Raises:
        UserError: if it cannot learn from such groups.
    """
    kind, size = device_transform.grouping(train)
    if kind not in experiment.groups or experiment.group not in (0, size):
        wanted = SETTINGS[experiment.groups[0]].format(group=experiment.group)
        raise UserError(f"experiment '{name}' learns from {wanted}")
    return dataclasses.replace(experiment, group=size)


def check_inputs(keys: tuple[str, ...], experiment: Any, info: Any) -> None:
    """Raise a `UserError` if what the model reads is not among `keys`, the config's `data.keys`."""
    known = [key for key in INPUTS if key in info.spec]
    if experiment.input_keys:
        missing = [key for key in experiment.input_keys if key not in keys]
    else:
        missing = [] if set(known) & set(keys) else known[:1]
    if missing:
        raise UserError(
            f"data.keys={keys}: every model reads '{missing[0]}': set "
            f'--config.data.keys="{(*missing, *keys)}"'
        )


def check(
    data: Mapping[str, Any],
    experiment: Any,
    name: str,
    info: Any,
    example: Mapping[str, Any],
    prepared: Mapping[str, Any],
) -> None:
    """Raise a `UserError` for an objective and a batch that do not fit.

    Args:
        data: the config's `data`.
        experiment: the objective.
        name: of it, for messages.
        info: of the training source.
        example: a batch as the source gives it.
        prepared: the same after augmentation, or its shapes.
    """
    for key in experiment.targets():
        if key in prepared:
            continue
        if key not in info.spec:
            hint = suggest(key, [k for k in info.spec if k != "image"])
            raise UserError(
                f"experiment '{name}' learns '{key}', which '{info.name}' has not{hint}"
            )
        keys = (*data["keys"], key)
        raise UserError(f"experiment '{name}' learns '{key}': set --config.data.keys=\"{keys}\"")
    mixed = prepared.keys() - example.keys() - {VALID, DROPPED}
    unread = sorted(mixed - set(experiment.mixed_targets()))
    if unread:
        chosen = " and ".join(mixing for mixing in MIXING if mixing in data["train"]["augment"])
        raise UserError(
            f"data.train.augment: {chosen} gives mixed examples and {', '.join(unread)}, which "
            f"experiment '{name}' does not read: it would take them for whole ones; do without"
        )
