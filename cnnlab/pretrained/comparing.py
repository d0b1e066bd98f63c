"""How the arrays of a file and those of a model differ, and the message that says so."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from cnnlab.errors import UserError
from cnnlab.pretrained.param_map import COUNTER, Slot

# How many names of each kind a message gives.
LISTED = 10


class Differences(NamedTuple):
    """Names in the file's layout.

    Attributes:
        missing: of the model, and not in the file.
        extra: in the file, and not of the model.
        shapes: of both, in two shapes: each with the file's and the model's.
    """

    missing: list[str]
    extra: list[str]
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


def check_finite(arrays: Mapping[str, np.ndarray], where: Any) -> None:
    """Raise a `UserError` for the first array with values that are NaN or infinite.

    Args:
        arrays: by name.
        where: they are from, for the message.
    """
    for name, array in arrays.items():
        count = int((~np.isfinite(array)).sum())
        if count:
            raise UserError(
                f"{where}: {count} of {np.size(array)} values of {name} are NaN or infinite: get "
                "the weights again, or take those of an earlier step"
            )


def is_head(path: str) -> bool:
    """Return whether an array belongs to the classifier, or to an auxiliary one."""
    parts = path.split("/")
    return parts[1] == "logits" or parts[1].startswith("auxiliary")


def without_absent_auxiliaries(slots: Mapping[str, Slot], names: Iterable[str]) -> dict[str, Slot]:
    """Return the slots without auxiliary classifiers if `names` has nothing of them.

    Only training needs them, and a checkpoint can have been saved without.
    """
    names = set(names)
    auxiliary = {p for p in slots if p.split("/")[1].startswith("auxiliary")}
    if any(slots[path].name in names for path in auxiliary):
        return dict(slots)
    return {path: slot for path, slot in slots.items() if path not in auxiliary}


def compare(
    arrays: Mapping[str, np.ndarray], slots: Mapping[str, Slot], skipped: Iterable[Slot] = ()
) -> Differences:
    """Return how a file's arrays and a model's differ.

    Extra is no counter of BatchNorm, nothing in the place of the `skipped`, and no vector under a
    name of its own, such as the weights of a loss: a network has kernels.
    """
    wanted = {slot.name: slot.shape_there for slot in slots.values()}
    tops = {_top(name) for name in wanted}
    # Another head may have layers of its own in the place of ours.
    places = {slot.name.rpartition(".")[0] for slot in skipped}
    places -= {name.rpartition(".")[0] for name in wanted}

    def extra(name: str) -> bool:
        if name in wanted or name.rpartition(".")[2] == COUNTER:
            return False
        if any(name.startswith(f"{place}.") for place in places):
            return False
        vector = sum(size > 1 for size in arrays[name].shape) < 2
        return _top(name) in tops or not vector

    skipped_names = {slot.name for slot in skipped}
    return Differences(
        [name for name in wanted if name not in arrays],
        [name for name in arrays if name not in skipped_names and extra(name)],
        {
            name: (arrays[name].shape, shape)
            for name, shape in wanted.items()
            if name in arrays and arrays[name].shape != shape
        },
    )


def _top(name: str) -> str:
    return re.split("[./]", name, maxsplit=1)[0]


def describe(subject: Any, model_name: str, found: Differences) -> str:
    """Return what is missing, extra, or of another shape, in some lines of text."""
    lines = [f"{subject} does not fit {model_name}:"]
    lines += _listed("missing", found.missing)
    lines += _listed("extra", found.extra)
    of_shape = [f"{name} {there}, here {here}" for name, (there, here) in found.shapes.items()]
    return "\n  ".join(lines + _listed("of another shape", of_shape))


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return [f"{len(names)} {what}: {', '.join(names[:LISTED])}{more}"]
