"""The classes that a run knows: saved with each checkpoint, and kept when it goes on.

Output i of a classifier is the class that was called `names[i]` when it was trained. Data whose
classes are numbered otherwise are numbered as the run has them; see `Subset.numbered_as`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.checkpoint_record import Damaged

# Evaluators that compare labels of a split with those of the training split.
COMPARING = ("knn", "linear_probe")


def saved(checkpoints: Checkpoints) -> tuple[str, ...]:
    """Return the names that a run's newest readable checkpoint was saved with; () without."""
    for step in reversed(checkpoints.steps()):
        try:
            record = checkpoints.record(step)
        except Damaged:
            continue
        return tuple(record.get("data", {}).get("classes", ()))
    return ()


def of_run(workdir: Path) -> tuple[str, ...]:
    """Return the names that the run in a folder knows; () before its first checkpoint."""
    checkpoints = Checkpoints(workdir / "checkpoints", read_only=True)
    try:
        return saved(checkpoints)
    finally:
        checkpoints.close()


def for_split(
    split: str, names: Sequence[str], experiment: Any, evaluators: Mapping[str, Any]
) -> Sequence[str]:
    """Return the names to number the labels of a split by; () if their numbers do not matter.

    Args:
        split: one of `data.eval.splits`.
        names: of the classes of the training split.
        experiment: the objective.
        evaluators: the config's entry.
    """
    compared = (
        split in (entry["splits"] or (split,)) and entry["key"] == "label"
        for name, entry in evaluators.items()
        if name in COMPARING
    )
    return names if experiment.predicts_labels or any(compared) else ()


def check_transfer(theirs: Sequence[str], ours: Sequence[str], origin: str) -> None:
    """Raise a `UserError` if outputs that are taken over are other classes here."""
    for i, (their, our) in enumerate(zip(theirs, ours, strict=False)):
        if their != our:
            raise UserError(
                f"init_from: output {i} of {origin} is '{their}', here it is '{our}': name the "
                f'classes in its order, --config.data.classes="{tuple(theirs)}", or start the '
                "classifier anew, --config.init_from.skip=\"('head',)\""
            )


def head_of(settings: Mapping[str, Any]) -> bool:
    """Return whether the outputs of a run of this config are classes."""
    return settings["experiment"].get("target") == "label"
