"""The variables of one of our models as a .safetensors file that another library loads."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import safetensors.numpy
from flax.traverse_util import flatten_dict

from cnnlab.errors import UserError
from cnnlab.pretrained.comparing import compare, describe, is_head
from cnnlab.pretrained.fields import contradictions, name_of, trained_with
from cnnlab.pretrained.param_map import counters, slots_for, slots_of
from cnnlab.pretrained.preprocessing import Preprocessing
from cnnlab.pretrained.zoo import OWN, sources
from cnnlab.utils.console import LOG
from cnnlab.utils.registry import pick


def save(
    model: str | nn.Module,
    variables: Mapping[str, Any],
    path: str | Path,
    *,
    layout: str = "",
    preprocessing: Preprocessing | None = None,
    **arguments: Any,
) -> None:
    """Write a model's variables, with BatchNorm's counters as 0.

    The header says `model`, `layout`, `arguments` and `preprocessing` (JSON). The file appears
    under its name only once it is whole. Logs a warning if the library of the layout would compute
    something else with them.

    Args:
        model: one of ours, or its name as for `models.create`.
        variables: "params", and "batch_stats" if the model has any.
        path: of the .safetensors file.
        layout: "torchvision", "timm", "fastai" or "cnnlab" (our own names and shapes); "" is the
            first of these that the model has.
        preprocessing: what images undergo; None for what is usual with the layout
            (nothing, with our own).
        arguments: fields of the model that differ from the defaults of its name; those of a
            module are its own. The number of classes is taken from the variables.

    Raises:
        UserError: an unknown name or layout, variables that are not of this model, or a place
            where nothing can be written.
    """
    if isinstance(model, nn.Module):
        name, own = name_of(model)
        arguments = {**own, **arguments}
    else:
        name = model
    table = {source.layout: source for source in sources(name) if source.written}
    arguments.pop("num_classes", None)
    arrays = {key: np.asarray(jax.device_get(leaf)) for key, leaf in _flat(variables).items()}
    own_slots = slots_for(name, arrays, OWN, **arguments)
    source = pick(table, layout or next(iter(table)), f"layout of {name}")
    # The head is as wide as the variables say, and may be left out.
    shapes = {
        key: arrays[key].shape if is_head(key) and key in arrays else slot.shape
        for key, slot in own_slots.items()
        if key in arrays or not is_head(key)
    }
    found = compare(arrays, slots_of(shapes, OWN))
    if any(found):
        raise UserError(describe("what is to be saved", name, found))
    slots = slots_of(shapes, source)
    if source is not OWN and (
        other := contradictions(name, arguments, trained_with(name, source, {}))
    ):
        what = ", ".join(f"{key}={value!r}" for key, value in other.items())
        LOG.warning("%s: %s computes something else with it, by %s", path, source.layout, what)
    tensors = {slot.name: slot.to_there(arrays[key]) for key, slot in slots.items()}
    tensors |= {name: np.zeros((), np.int64) for name in counters(slots)}
    metadata = {
        "format": "pt",
        "model": name,
        "layout": source.layout,
        "arguments": json.dumps(arguments),
    }
    if known := preprocessing or source.preprocessing:
        metadata["preprocessing"] = known.to_json()
    _write(tensors, Path(path), metadata)


def _flat(variables: Mapping[str, Any]) -> dict[str, Any]:
    weights = {key: variables[key] for key in ("params", "batch_stats") if key in variables}
    return flatten_dict(weights, sep="/")


def _write(tensors: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(safetensors.numpy.save(tensors, metadata))
            file.flush()
            # A rename must not come to the disk before the content.
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        size = sum(array.nbytes for array in tensors.values()) / 1e6
        raise UserError(
            f"cannot write {path} ({size:.0f} MB): {error}; is the folder there, and is there "
            "space on the disk?"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
