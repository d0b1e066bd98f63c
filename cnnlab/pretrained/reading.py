"""A checkpoint as the variables of one of our models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.models import MODELS
from cnnlab.pretrained.checkpoint_file import Checkpoint, read_checkpoint, read_metadata
from cnnlab.pretrained.comparing import check_finite, compare, describe, without_absent_auxiliaries
from cnnlab.pretrained.fields import contradictions, trained_with
from cnnlab.pretrained.matching import Match, match, report
from cnnlab.pretrained.model_search import advice, fitting
from cnnlab.pretrained.param_map import Slot, shapes_of, slots_for, slots_of
from cnnlab.pretrained.preprocessing import Preprocessing
from cnnlab.pretrained.zoo import Source, known_preprocessing, sources
from cnnlab.utils import param_paths


class Pretrained(NamedTuple):
    """Weights and what belongs to them.

    Attributes:
        variables: "params" and "batch_stats" (if there are any) as of a model's `init`, without
            what was skipped.
        preprocessing: what images undergo; None if neither file nor layout tells.
        layout: "torchvision", "timm", "fastai", "akamaster", "mlperf_tiny" or "cnnlab".
        arguments: fields of our model that the weights were trained with, where they differ from
            the defaults of its name.
        prefix: what their names begin with in the file: "state_dict.model.".
    """

    variables: dict[str, Any]
    preprocessing: Preprocessing | None
    layout: str
    arguments: dict[str, Any]
    prefix: str


def load(
    model_name: str, path: str | Path, *, skip: Sequence[str] = (), **arguments: Any
) -> dict[str, Any]:
    """Return the variables of a model from a checkpoint; the arguments are those of `read`."""
    return read(model_name, path, skip=skip, **arguments).variables


def read(
    model_name: str,
    path: str | Path,
    *,
    skip: Sequence[str] = (),
    ema: bool | None = False,
    prefix: str | None = None,
    **arguments: Any,
) -> Pretrained:
    """Return the variables of a model from a checkpoint, and what belongs to them.

    A trainer's checkpoint may have them under any prefix, beside its optimizer and the rest; the
    log says under which they were found, and what else there is.

    Args:
        model_name: as for `models.create`.
        path: a .pth, .safetensors or .h5 file.
        skip: regular expressions, searched in the paths of parameters and statistics
            ("stage4/block1/conv1/kernel"); "head" stands for the classifier and the auxiliary
            ones (`cnnlab.utils.param_paths`). Those are absent from the result, whatever the file
            has for them.
        ema: True for the moving average of the weights; None for it if the file has one.
        prefix: of the names in the file, where more than one network in it fits; found
            unless given.
        arguments: fields of the model that differ from the defaults of its name. With
            num_classes=0 the classifier is skipped.

    Raises:
        UserError: an unknown name or argument, a file that is no checkpoint or does not fit, or
            has values that are not finite, or was trained with other fields than the model's
            and would compute something else (unless `arguments` have those fields); an
            expression in `skip` that fits no path; no moving average, where it is asked for.
    """
    checkpoint = read_checkpoint(path)
    return take(model_name, checkpoint, path, skip=skip, ema=ema, prefix=prefix, **arguments)


def take(
    model_name: str,
    checkpoint: Checkpoint,
    path: str | Path,
    *,
    skip: Sequence[str] = (),
    ema: bool | None = False,
    prefix: str | None = None,
    **arguments: Any,
) -> Pretrained:
    """Return what `read` does, of a file that is read already."""
    if not arguments.get("num_classes", 1):
        # What the file has there is known, and not wanted.
        del arguments["num_classes"]
        skip = ("head", *skip)
    source, slots, found = find_source(model_name, checkpoint, path, ema, prefix, **arguments)
    skipped = _skipped(slots, tuple(skip), models.architecture(model_name).head_names)
    slots = without_absent_auxiliaries(slots, found.arrays)
    wanted = {p: slot for p, slot in slots.items() if p not in skipped}
    differences = compare(found.arrays, wanted, [slots[p] for p in slots if p in skipped])
    theirs = trained_with(model_name, source, checkpoint.metadata)
    unasked = {key: value for key, value in theirs.items() if key not in arguments}
    ours = models.fields(model_name)
    if any(differences):
        others = {key: value for key, value in unasked.items() if ours[key] != value}
        raise UserError(
            describe(path, model_name, differences)
            + (advice(model_name, differences, checkpoint.arrays, wanted) or _fields_hint(others))
        )
    for name in (slot.name for slot in wanted.values()):
        if not np.issubdtype(found.arrays[name].dtype, np.floating):
            raise UserError(
                f"{path}: {name} holds {found.arrays[name].dtype}, which are no weights"
            )
    check_finite({slot.name: found.arrays[slot.name] for slot in wanted.values()}, path)
    if other := contradictions(model_name, arguments, unasked):
        raise UserError(_contradiction(model_name, path, source, other))
    report(path, found, checkpoint.arrays)
    return Pretrained(
        _variables(found.arrays, wanted),
        _preprocessing(source, checkpoint.metadata, path),
        source.layout,
        {key: value for key, value in theirs.items() if ours[key] != value},
        found.prefix,
    )


def preprocessing(path_or_name: str | Path, path: str | Path | None = None) -> Preprocessing:
    """Return what images have to undergo: as the file says, or as known of its source.

    A .pth file says nothing; the libraries' usual evaluation stands for it.

    Args:
        path_or_name: of the file; or the name of the model that it fits, and
        path: of the file.

    Raises:
        UserError: an unknown name, a file that is no checkpoint, or one that says nothing in our
            own layout.
    """
    name, path = name_and_path(path_or_name, path)
    metadata = read_metadata(path)
    if "preprocessing" in metadata:
        return Preprocessing.from_json(metadata["preprocessing"])
    checkpoint = read_checkpoint(path)
    name = name or name_of_file(checkpoint, path)
    source, _, _ = find_source(name, checkpoint, path, None, None)
    known = known_preprocessing(source, path.name)
    if known is None:
        raise UserError(f"{path} does not say how its images were preprocessed: see its training")
    return known


def name_and_path(path_or_name: str | Path, path: str | Path | None) -> tuple[str, Path]:
    """Return a model's name, "" for none, and the path of its weights, as calls take them."""
    if path is not None:
        models.architecture(str(path_or_name))
        return str(path_or_name), Path(path)
    if path_or_name in MODELS and not Path(path_or_name).exists():
        raise UserError(
            f"'{path_or_name}' is a model: which file has its weights? For initial ones, use "
            f"models.create('{path_or_name}')"
        )
    return "", Path(path_or_name)


def name_of_file(checkpoint: Checkpoint, path: str | Path) -> str:
    """Return the name of the model that a file's weights were trained as.

    Raises:
        UserError: none of ours.
    """
    if checkpoint.metadata.get("model") in MODELS:
        return checkpoint.metadata["model"]
    names = fitting(checkpoint.arrays)
    if not names:
        raise UserError(
            f"{path} fits no model as it is: name the one it is of, as in "
            f"create('resnet50', {str(path)!r})"
        )
    # Of those of the same shapes, the one that its library has.
    return next((name for name in names if not sources(name)[0].instead), names[0])


def _skipped(slots: Mapping[str, Slot], skip: tuple[str, ...], heads: tuple[str, ...]) -> set[str]:
    inner = {path: path.partition("/")[2] for path in slots}
    param_paths.check(skip, sorted(set(inner.values())), "skip", heads)
    return {path for path, name in inner.items() if param_paths.matches(skip, name, "skip", heads)}


def find_source(
    model_name: str,
    checkpoint: Checkpoint,
    path: Any,
    ema: bool | None,
    prefix: str | None,
    **arguments: Any,
) -> tuple[Source, dict[str, Slot], Match]:
    """Return the layout with the most in common with the file, and what the file has of it."""
    best: tuple[Match, Source, dict] | None = None
    shapes = shapes_of(model_name, **arguments)
    reasons = []
    for source in sources(model_name):
        try:
            slots = slots_of(shapes, source)
        except UserError as error:
            reasons.append(str(error))
            continue
        names = {slot.name: slot.shape_there for slot in slots.values()}
        found = match(checkpoint.arrays, names, ema=None if ema else ema, prefix=prefix)
        if best is None or found.score[1] > best[0].score[1]:
            best = found, source, names
    assert best is not None
    found, source, names = best
    if not found.score[1] and reasons:
        raise UserError(f"{path} does not fit {model_name}: {'; '.join(reasons)}")
    try:
        found = match(checkpoint.arrays, names, ema=ema, prefix=prefix)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return source, slots_for(model_name, found.arrays, source, **arguments), found


def _variables(arrays: Mapping[str, np.ndarray], slots: Mapping[str, Slot]) -> dict[str, Any]:
    flat = {path: jnp.asarray(slot.to_here(arrays[slot.name])) for path, slot in slots.items()}
    return unflatten_dict(flat, sep="/")


def _preprocessing(source: Source, metadata: Mapping[str, str], path: Any) -> Preprocessing | None:
    if "preprocessing" in metadata:
        return Preprocessing.from_json(metadata["preprocessing"])
    return known_preprocessing(source, Path(path).name)


def _fields_hint(fields: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{key}={value!r}" for key, value in fields.items())
    return f"\n  it was trained with {listed}; pretrained.create has these" if fields else ""


def _contradiction(model_name: str, path: Any, source: Source, other: Mapping[str, Any]) -> str:
    ours = models.fields(model_name)
    theirs = ", ".join(f"{key}={value!r}" for key, value in other.items())
    mine = ", ".join(f"{key}={ours[key]!r}" for key in other)
    instead = f"the model {source.instead}, or " if source.instead else ""
    return (
        f"{path} was trained with {theirs}, where {model_name} has {mine}: it fits, and would "
        f"compute something else. Use {instead}{theirs}; pretrained.create does so"
    )
