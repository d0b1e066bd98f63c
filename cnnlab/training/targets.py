"""What an objective learns has to be in its batches, and what is mixed there has to be read."""

from collections.abc import Mapping
from typing import Any

from cnnlab.choices import suggest
from cnnlab.data.augment import MIXING
from cnnlab.data.spatial_targets import DROPPED, VALID
from cnnlab.errors import UserError


def check(
    config: Any, experiment: Any, info: Any, example: Mapping[str, Any], prepared: Mapping[str, Any]
) -> None:
    """Raise a `UserError` for an objective and a batch that do not fit.

    Args:
        config: of the run.
        experiment: what is optimised.
        info: of the training source.
        example: a batch as the source gives it.
        prepared: the same after augmentation, or its shapes.
    """
    name = config.experiment.name
    for key in experiment.targets():
        if key in prepared:
            continue
        if key not in info.spec:
            hint = suggest(key, [k for k in info.spec if k != "image"])
            raise UserError(
                f"experiment '{name}' learns '{key}', which '{info.name}' has not{hint}"
            )
        keys = (*config.data["keys"], key)
        raise UserError(f"experiment '{name}' learns '{key}': set --config.data.keys=\"{keys}\"")
    experiment.check_batch(prepared)
    mixed = prepared.keys() - example.keys() - {VALID, DROPPED}
    unread = sorted(mixed - set(experiment.mixed_targets()))
    if unread:
        chosen = " and ".join(name for name in MIXING if name in config.data.train.augment)
        raise UserError(
            f"data.train.augment: {chosen} gives mixed examples and {', '.join(unread)}, which "
            f"experiment '{name}' does not read: it would take them for whole ones; do without"
        )
