"""Create a model with its weights from one checkpoint file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn

from cnnlab import models
from cnnlab.pretrained.checkpoint_file import Checkpoint, read_checkpoint
from cnnlab.pretrained.comparing import is_head, without_absent_auxiliaries
from cnnlab.pretrained.fields import trained_with
from cnnlab.pretrained.matching import Match
from cnnlab.pretrained.model_search import fit
from cnnlab.pretrained.param_map import Slot
from cnnlab.pretrained.reading import find_source, name_and_path, name_of_file, take


def create(
    path_or_name: str | Path,
    path: str | Path | None = None,
    *,
    skip: Sequence[str] = (),
    ema: bool = False,
    prefix: str | None = None,
    **arguments: Any,
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a model with the fields that a file's weights were trained with, and its variables.

    `model.apply(variables, images)` computes what the library did that trained them. Fields come
    from the file's header, if `save` wrote it, or are those of its library; the number of classes,
    the stem and the width are read off the shapes. A file without classifier gives a model without.

    Args:
        path_or_name: of the file, whose model is found; or the name of the model, and
        path: of the file.
        skip: as for `read`; the variables are then without what is skipped.
        ema: whether to take the moving average of the weights.
        prefix: of the names in the file, where more than one network in it fits.
        arguments: fields of the model that are to be as given, whatever the weights were
            trained with.

    Raises:
        UserError: as `read`, or a file that fits no model of ours.
    """
    name, path = name_and_path(path_or_name, path)
    checkpoint = read_checkpoint(path)
    name = name or name_of_file(checkpoint, path)
    fields = _fields(name, checkpoint, path, ema, prefix, arguments)
    weights = take(name, checkpoint, path, skip=skip, ema=ema, prefix=prefix, **fields)
    return models.create(name, **fields), weights.variables


def _fields(
    name: str,
    checkpoint: Checkpoint,
    path: Path,
    ema: bool,
    prefix: str | None,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the fields with which the model fits the file; or nearly, if none are found."""
    ours = models.fields(name)
    source, slots, found = find_source(name, checkpoint, path, ema, prefix, **given)
    theirs = trained_with(name, source, checkpoint.metadata)
    fields = {**{k: v for k, v in theirs.items() if v != ours[k]}, **given}
    guess, slots = fit(name, source, slots, found, fields, given) or ({}, slots)
    return {**_heads(ours, slots, found), **fields, **guess}


def _heads(ours: Mapping[str, Any], slots: Mapping[str, Slot], found: Match) -> dict[str, Any]:
    """Return how many classes the file has, 0 for none, and whether auxiliary classifiers."""
    heads = {path: slot for path, slot in slots.items() if is_head(path)}
    last = heads.get("params/logits/kernel")
    if last is None:
        return {}
    if last.name not in found.arrays:
        return {"num_classes": 0}
    array = found.arrays[last.name]
    fields: dict[str, Any] = {"num_classes": last.to_here(array).shape[-1] if array.ndim else 1}
    if "auxiliary" in ours and len(without_absent_auxiliaries(slots, found.arrays)) < len(slots):
        fields["auxiliary"] = False
    return fields
