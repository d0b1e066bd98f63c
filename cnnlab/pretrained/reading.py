"""A checkpoint as the variables of one of our models."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from cnnlab import paths
from cnnlab.choices import pick
from cnnlab.console import LOG
from cnnlab.errors import UserError
from cnnlab.models import MODELS
from cnnlab.pretrained.checkpoint_file import Checkpoint, read_checkpoint, read_metadata
from cnnlab.pretrained.comparing import (
    advice,
    compare,
    describe,
    without_absent_auxiliaries,
)
from cnnlab.pretrained.preprocessing import Preprocessing
from cnnlab.pretrained.slots import Slot, shapes_of, slots_of
from cnnlab.pretrained.sources import Source, known_preprocessing, sources


class Pretrained(NamedTuple):
    """Weights and what belongs to them.

    Attributes:
        variables: "params" and "batch_stats" (if there are any) as of a model's `init`, without
            what was skipped.
        preprocessing: what images undergo; None if neither file nor layout tells.
        layout: "torchvision", "timm", "fastai" or "cnnlab".
        arguments: fields of our model that the weights were trained with, where they matter.
    """

    variables: dict[str, Any]
    preprocessing: Preprocessing | None
    layout: str
    arguments: dict[str, Any]


def load(
    model_name: str, path: str | Path, *, skip: Sequence[str] = (), **arguments: Any
) -> dict[str, Any]:
    """Return the variables of a model from a checkpoint; the arguments are those of `read`."""
    return read(model_name, path, skip=skip, **arguments).variables


def read(
    model_name: str, path: str | Path, *, skip: Sequence[str] = (), **arguments: Any
) -> Pretrained:
    """Return the variables of a model from a checkpoint, and what belongs to them.

    Logs a warning if the weights were trained with other fields of the model, as torchvision's
    for `resnet50`, whose stride is elsewhere: they fit, and give other results.

    Args:
        model_name: as for `models.create`.
        path: a .pth or .safetensors file.
        skip: regular expressions, searched in the paths of parameters and statistics
            ("stage4/block1/conv1/kernel"); "head" stands for the classifier and the auxiliary
            ones (`cnnlab.paths`). Those are absent from the result, whatever the file
            has for them.
        arguments: fields of the model that differ from the defaults of its name. With
            num_classes=0 the classifier is skipped.

    Raises:
        UserError: an unknown name or argument, a file that is no checkpoint or does not fit, or
            an expression in `skip` that fits no path.
    """
    shapes, skipped = _wanted(model_name, tuple(skip), arguments)
    checkpoint = read_checkpoint(path)
    source, slots = _source(model_name, shapes, checkpoint, path)
    slots = without_absent_auxiliaries(slots, checkpoint.arrays)
    wanted = {p: slot for p, slot in slots.items() if p not in skipped}
    found = compare(checkpoint.arrays, wanted, (slot.name for slot in slots.values()))
    if any(found):
        raise UserError(
            describe(path, model_name, found) + advice(model_name, found, checkpoint.arrays, wanted)
        )
    trained_with = _trained_with(model_name, source, checkpoint.metadata)
    _warn(model_name, path, source, trained_with, arguments)
    return Pretrained(
        _variables(checkpoint.arrays, wanted),
        _preprocessing(source, checkpoint.metadata, path),
        source.layout,
        trained_with,
    )


def preprocessing(model_name: str, path: str | Path) -> Preprocessing:
    """Return what images have to undergo: as the file says, or as known of its source.

    A .pth file says nothing; the libraries' usual evaluation stands for it.

    Raises:
        UserError: an unknown name, a file that is no checkpoint, or one that says nothing in our
            own layout.
    """
    pick(MODELS, model_name, "model")
    metadata = read_metadata(path)
    if "preprocessing" in metadata:
        return Preprocessing.from_json(metadata["preprocessing"])
    checkpoint = read_checkpoint(path)
    source, _ = _source(model_name, shapes_of(model_name), checkpoint, path)
    known = known_preprocessing(source, Path(path).name)
    if known is None:
        raise UserError(f"{path} does not say how its images were preprocessed: see its training")
    return known


def _wanted(
    model_name: str, skip: tuple[str, ...], arguments: Mapping[str, Any]
) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Return the shapes of the model with its head, and the paths to skip."""
    arguments = dict(arguments)
    if not arguments.get("num_classes", 1):
        # What the file has there is known, and not wanted.
        del arguments["num_classes"]
        skip = (*skip, "head") if "head" not in skip else skip
    shapes = shapes_of(model_name, **arguments)
    inner = {path: path.partition("/")[2] for path in shapes}
    paths.check(skip, sorted(set(inner.values())), "skip")
    return shapes, {path for path, name in inner.items() if paths.matches(skip, name, "skip")}


def _source(
    model_name: str, shapes: Mapping[str, tuple[int, ...]], checkpoint: Checkpoint, path: Any
) -> tuple[Source, dict[str, Slot]]:
    """Return the layout with the most names in common with the file."""
    best: tuple[int, Source, dict[str, Slot]] | None = None
    reasons = []
    for source in sources(model_name):
        try:
            slots = slots_of(shapes, source)
        except UserError as error:
            reasons.append(str(error))
            continue
        count = sum(slot.name in checkpoint.arrays for slot in slots.values())
        if best is None or count > best[0]:
            best = count, source, slots
    assert best is not None
    if not best[0] and reasons:
        raise UserError(f"{path} does not fit {model_name}: {'; '.join(reasons)}")
    return best[1:]


def _variables(arrays: Mapping[str, np.ndarray], slots: Mapping[str, Slot]) -> dict[str, Any]:
    flat = {path: jnp.asarray(slot.to_here(arrays[slot.name])) for path, slot in slots.items()}
    return unflatten_dict(flat, sep="/")


def _preprocessing(source: Source, metadata: Mapping[str, str], path: Any) -> Preprocessing | None:
    if "preprocessing" in metadata:
        return Preprocessing.from_json(metadata["preprocessing"])
    return known_preprocessing(source, Path(path).name)


def _trained_with(model_name: str, source: Source, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields that the weights were trained with, of those that change results."""
    if "model" not in metadata:
        return dict(source.arguments)
    saved = MODELS.get(metadata["model"])
    if saved is None:
        return {}
    try:
        given = json.loads(metadata.get("arguments", "{}"))
    except ValueError as error:
        raise UserError(f"no arguments can be read from {metadata['arguments']!r}") from error
    fields = {**saved.fields(), **given}
    return {key: fields[key] for key in source.arguments if key in fields}


def _warn(
    model_name: str,
    path: Any,
    source: Source,
    trained_with: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> None:
    fields = {**MODELS[model_name].fields(), **arguments}
    other = {key: value for key, value in trained_with.items() if fields[key] != value}
    if other:
        what = ", ".join(f"{key}={value!r}" for key, value in other.items())
        name = f"use the model {source.instead}, or " if source.instead else ""
        LOG.warning(
            f"{path}: the weights fit {model_name}, but were trained with {what}: {name}set "
            "that, or the results differ"
        )
