"""Find the model and its fields that a checkpoint file fits."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.pretrained.comparing import Differences, compare, is_head, without_absent_auxiliaries
from cnnlab.pretrained.matching import Match, match
from cnnlab.pretrained.param_map import Slot, shapes_of, slots_for, slots_of
from cnnlab.pretrained.zoo import SOURCES, Source

STEMS = ("imagenet", "cifar")


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
    """Return the names of our models that the arrays fit, whatever the number of classes.

    Those that fit as they are; if there are none, those that do with another stem or width.
    """
    for free in (False, True):
        if names := [name for name in SOURCES if _fits(arrays, name, free)]:
            return names
    return []


def _fits(arrays: Mapping[str, np.ndarray], model_name: str, free: bool) -> bool:
    given = {} if free else models.fields(model_name)
    for source in SOURCES[model_name]:
        if not _looks_like(arrays, model_name, source):
            continue
        slots = slots_of(shapes_of(model_name, **source.arguments), source)
        found = match(arrays, {slot.name: slot.shape_there for slot in slots.values()}, ema=None)
        if fit(model_name, source, slots, found, source.arguments, given) is not None:
            return True
    return False


def _looks_like(arrays: Mapping[str, np.ndarray], model_name: str, source: Source) -> bool:
    """Return whether the first layer is there, and the last units: it saves tracing most models."""

    def has(module: str) -> bool:
        names = [f"{name}.weight" for name in source.names([module]).values()]
        return any(f".{name}".endswith(f".{there}") for name in arrays for there in names)

    fields = models.fields(model_name)
    if "depths" not in fields:
        return any(map(has, ("stem", "conv1", "conv1_1")))
    last = [f"stage{n}/block{depth}" for n, depth in enumerate(fields["depths"], 1)]
    beyond = [f"stage{n}/block{depth + 1}" for n, depth in enumerate(fields["depths"], 1)]
    return (
        all(has(f"{unit}/conv1") for unit in last)
        and not any(has(f"{unit}/conv1") for unit in beyond)
        and has(f"{last[0]}/conv3") == (fields["block"] == "bottleneck")
    )


def fit(
    model_name: str,
    source: Source,
    slots: Mapping[str, Slot],
    found: Match,
    fields: Mapping[str, Any],
    given: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Slot]] | None:
    """Return fields with which all but the head fits the file, and its slots; or None.

    Args:
        model_name: as for `models.create`.
        source: layout of the file.
        slots: of the model, with the fields that are given.
        found: what the file has of it.
        fields: of the model that differ from the defaults of its name.
        given: those among them that must stay.
    """
    usual = models.fields(model_name)
    for guess in ({}, *_guesses({**usual, **fields}, given, slots, found)):
        try:
            guessed = slots_for(model_name, found.arrays, source, **{**fields, **guess})
        except UserError:
            continue
        if _body_fits(guessed, found):
            return guess, guessed
    return None


def _guesses(
    fields: Mapping[str, Any], given: Mapping[str, Any], slots: Mapping[str, Slot], found: Match
) -> list[dict[str, Any]]:
    """Return fields that may make it fit: other stems, and the width that the widest kernel has."""
    stems: list[dict[str, Any]] = [{}]
    if "stem" in fields and "stem" not in given:
        stems += [{"stem": stem} for stem in STEMS if stem != fields["stem"]]
    widths: list[dict[str, Any]] = [{}]
    both = [slot for path, slot in slots.items() if slot.name in found.arrays and not is_head(path)]
    kernels = [slot for slot in both if len(slot.shape) == 4]
    if "width" in fields and "width" not in given and kernels:
        widest = max(kernels, key=lambda slot: slot.shape[3])
        factor = len(found.arrays[widest.name]) / widest.shape[3]
        widths += [{"width": fields["width"] * factor}]
    return [stem | width for width in widths for stem in stems][1:]


def _body_fits(slots: Mapping[str, Slot], found: Match) -> bool:
    slots = without_absent_auxiliaries(slots, found.arrays)
    body = {path: slot for path, slot in slots.items() if not is_head(path)}
    return not any(compare(found.arrays, body, [slots[p] for p in slots if is_head(p)]))
