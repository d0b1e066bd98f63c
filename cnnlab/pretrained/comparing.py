"""Whether the arrays of a file fit a model, and the message for when they do not."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from cnnlab.pretrained.slots import COUNTER, Slot, shapes_of, slots_of
from cnnlab.pretrained.sources import SOURCES

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
    arrays: Mapping[str, np.ndarray], slots: Mapping[str, Slot], ignored: Iterable[str] = ()
) -> Differences:
    """Return how a file's arrays and a model's differ; `ignored` names may be in the file."""
    wanted = {slot.name: slot.shape_there for slot in slots.values()}
    known = {*wanted, *ignored}
    return Differences(
        [name for name in wanted if name not in arrays],
        [n for n in arrays if n not in known and n.rpartition(".")[2] != COUNTER],
        {
            name: (arrays[name].shape, shape)
            for name, shape in wanted.items()
            if name in arrays and arrays[name].shape != shape
        },
    )


def describe(subject: Any, model_name: str, found: Differences) -> str:
    """Return what is missing, extra, or of another shape, in some lines of text."""
    lines = [f"{subject} does not fit {model_name}:"]
    lines += _listed("missing", found.missing)
    lines += _listed("extra", found.extra)
    of_shape = [f"{name} {there}, here {here}" for name, (there, here) in found.shapes.items()]
    return "\n  ".join(lines + _listed("of another shape", of_shape))


def advice(
    model_name: str,
    found: Differences,
    arrays: Mapping[str, np.ndarray],
    slots: Mapping[str, Slot],
) -> str:
    """Return a line on what helps: another number of classes or another model; or nothing."""
    heads = {slot.name for path, slot in slots.items() if is_head(path)}
    if found.shapes and not found.missing and not found.extra and heads.issuperset(found.shapes):
        return (
            "\n  only the head differs: set model.num_classes as in the file, or "
            'init_from.skip=("head",) to leave it out'
        )
    others = [name for name in fitting(arrays) if name != model_name]
    return f"\n  it fits {' or '.join(others)}" if others else ""


def fitting(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return the names of our models that the arrays fit, whatever the number of classes."""
    return [name for name in SOURCES if _fits(arrays, name)]


def _fits(arrays: Mapping[str, np.ndarray], model_name: str) -> bool:
    for source in SOURCES[model_name]:
        # Saves tracing most of them.
        if f"{source.names(['logits'])['logits']}.weight" not in arrays:
            continue
        slots = slots_of(shapes_of(model_name), source)
        slots = without_absent_auxiliaries(slots, arrays)
        heads = [slot.name for path, slot in slots.items() if is_head(path)]
        missing, extra, shapes = compare(arrays, slots)
        if not missing and not extra and set(shapes) <= set(heads):
            return True
    return False


def _listed(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return [f"{len(names)} {what}: {', '.join(names[:LISTED])}{more}"]
