"""The fields of a model that weights were trained with, and whether others compute the same.

Equal shapes do not make equal networks: torchvision's ResNet-50 has the stride of a bottleneck in
the 3x3 convolution, ours of that name in the 1x1 before it, as the paper. Whether a field matters
is read off the program: two networks are the same if their evaluation has the same equations.
"""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.core import freeze
from flax.traverse_util import unflatten_dict

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.models import MODELS
from cnnlab.pretrained.param_map import shapes_of
from cnnlab.pretrained.zoo import Source

# What another training of the same weights may change; it saves tracing.
FREE = {
    *("num_classes", "dropout", "auxiliary_dropout", "dropout_first", "dtype", "remat"),
    *("norm_axis_name", "initial", "zero_scale", "auxiliary"),
}

Fields = dict[str, Any]


def trained_with(model_name: str, source: Source, metadata: Mapping[str, str]) -> Fields:
    """Return all fields that weights were trained with, but the free ones; none if not known.

    A file that `save` wrote says so itself, one of Keras in part; of other files it is known from
    their library.

    Raises:
        UserError: a file that says it in a way that cannot be read.
    """
    name = metadata.get("model", source.instead or model_name)
    if name not in MODELS:
        return {}
    given = source.arguments
    if "fields" in metadata:
        given = {**given, **json.loads(metadata["fields"])}
    if "model" in metadata:
        try:
            given = dict(json.loads(metadata.get("arguments", "{}")))
        except (ValueError, TypeError) as error:
            raise UserError(f"no arguments can be read from {metadata['arguments']!r}") from error
    fields = {**models.fields(name), **given}
    ours = models.fields(model_name)
    theirs = {k: as_field(v) for k, v in fields.items() if k in ours and k not in FREE}
    for key, value in theirs.items():
        kinds = (int, float) if isinstance(ours[key], float) else type(ours[key])
        if not isinstance(value, kinds):
            raise UserError(f"the file's header says {key}={value!r}, which cannot be")
    return theirs


def contradictions(model_name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Fields:
    """Return those of `theirs` with which the same arrays compute something else than with `ours`.

    Args:
        model_name: as for `models.create`.
        ours: fields of the model that differ from the defaults of its name.
        theirs: fields that weights were trained with.
    """
    fields = {**models.fields(model_name), **ours}
    other = {key: value for key, value in theirs.items() if as_field(fields[key]) != value}

    def matter(values: Fields) -> bool:
        return not _same(model_name, dict(ours), {**ours, **values})

    found = {key: value for key, value in other.items() if matter({key: value})}
    # Some have an effect, or a network, together alone.
    return found or (other if len(other) > 1 and matter(other) else {})


def name_of(model: nn.Module) -> tuple[str, Fields]:
    """Return the name of which a module's fields differ least from the defaults, and those.

    Raises:
        UserError: a module that is none of ours.
    """
    names: dict[str, Fields] = {}
    for name, architecture in MODELS.items():
        if architecture.module is type(model):
            own = architecture.fields()
            names[name] = {k: getattr(model, k) for k in own if getattr(model, k) != own[k]}
    if not names:
        raise UserError(f"{type(model).__name__} is no model of cnnlab")
    name = min(names, key=lambda name: len(names[name].keys() - {"num_classes"}))
    return name, names[name]


def as_field(value: Any) -> Any:
    """Return a value as models have it, hashable: JSON and configs know no tuples."""
    if isinstance(value, Mapping):
        return freeze({key: as_field(inner) for key, inner in value.items()})
    return tuple(map(as_field, value)) if isinstance(value, list | tuple) else value


def _same(model_name: str, one: Fields, other: Fields) -> bool:
    """Return whether two networks compute the same of the same arrays, or have not the same."""
    try:
        if shapes_of(model_name, **one) != shapes_of(model_name, **other):
            return True
    except UserError:
        # Such a network cannot be, so it is nothing that these weights were trained with.
        return True
    first, second = (
        _equations(model_name, tuple(sorted((k, as_field(v)) for k, v in fields.items())))
        for fields in (one, other)
    )
    return first == second


@functools.cache
def _equations(model_name: str, arguments: tuple[tuple[str, Any], ...]) -> tuple[str, ...]:
    model = models.create(model_name, **dict(arguments))
    shapes = {
        path: jax.ShapeDtypeStruct(shape, jnp.float32)
        for path, shape in shapes_of(model_name, **dict(arguments)).items()
    }
    images = jax.ShapeDtypeStruct((1, *models.architecture(model_name).input), jnp.float32)
    variables = unflatten_dict(shapes, sep="/")
    traced = jax.make_jaxpr(lambda v, x: model.apply(v, x)[0])(variables, images)
    # Functions with derivatives of their own are shown with their address.
    text = re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr))
    return (text, *(np.asarray(x).tobytes().hex() for x in traced.consts))
