"""Models by name. `output, endpoints = model.apply(variables, images, train=False)`.

Images are NHWC floats; models of sound take [b, t]. `endpoints` is an ordered dict of every named
stage, last "features" (what goes into the classifier) and "logits". All models take `num_classes`
(0 or None: no classifier, the output is the features) and `dtype` (of the computation; parameters
and output are float32), and where they make sense

    stem             "imagenet" or "cifar": how the first layers shrink the image
    width            factor on the number of channels
    dropout          share of values set to zero before dense layers, in training
    norm             "batch", "group", "layer" or "" (none); norm_axis_name shares BatchNorm's
                     statistics
    remat            recompute each stage in the backward pass, to save memory; same results

A person's own Flax module is a model too, by `package.module:Name`: it takes the inputs, and
`train` if it has that argument, and returns `(output, endpoints)` or one array. A field may be a
model itself, given as a mapping with `name`: `backbone={"name": "resnet50", "width": 0.5}`. It
comes without a classifier unless `num_classes` says otherwise. The class attribute `head_names`
has the modules that are the classifier, where those are not `logits` alone.
"""

import contextlib
import dataclasses
import fnmatch
import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import flax.linen as nn

from cnnlab.errors import UserError
from cnnlab.models import (
    alexnet,
    cpc,
    cpc_audio,
    googlenet,
    koch,
    lenet5,
    lenet5_1998,
    mlp,
    mobilenet,
    panns,
    resnet,
    resnet_cifar,
    resnet_v2,
    vgg,
    xresnet,
)
from cnnlab.models.architecture import Architecture
from cnnlab.models.user_module import with_endpoints
from cnnlab.utils import import_path
from cnnlab.utils.registry import suggest

MODELS: dict[str, Architecture] = {
    **mlp.MODELS,
    **lenet5.MODELS,
    **lenet5_1998.MODELS,
    **alexnet.MODELS,
    **vgg.MODELS,
    **googlenet.MODELS,
    **resnet.MODELS,
    **resnet_cifar.MODELS,
    **resnet_v2.MODELS,
    **xresnet.MODELS,
    **mobilenet.MODELS,
    **koch.MODELS,
    **cpc.MODELS,
    **cpc_audio.MODELS,
    **panns.MODELS,
}

DTYPES = {"float32", "bfloat16", "float16", "float64"}
NORMS = {"", "batch", "group", "layer"}


def available(pattern: str = "*") -> list[str]:
    """Return the names of the models that match a shell pattern, sorted."""
    return sorted(fnmatch.filter(MODELS, pattern))


def architecture(name: str) -> Architecture:
    """Return what is known of a model, given by name or by `package.module:Name`.

    Raises:
        UserError: an unknown name, or a place without a Flax module (or an `Architecture`).
    """
    found = import_path.pick(MODELS, name, "model", _is_model, "flax.linen.Module with __call__")
    if not import_path.is_place(name):
        return found
    own = found if isinstance(found, Architecture) else Architecture(found, paper="own module")
    module: Any = own.module
    return dataclasses.replace(own, module=with_endpoints(module))


def _is_model(found: Any) -> bool:
    if isinstance(found, type) and issubclass(found, nn.Module):
        return any("__call__" in vars(cls) for cls in found.__mro__)
    return isinstance(found, Architecture)


def fields(name: str) -> dict[str, Any]:
    """Return every keyword argument of a model with its default; those of models in it too."""
    found = architecture(name).fields()
    return {key: nested(value) if is_nested(value) else value for key, value in found.items()}


def is_nested(value: Any) -> bool:
    """Return whether the value of a field describes a model: a mapping with `name`."""
    return isinstance(value, Mapping) and "name" in value


def nested(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return `name` and every field of a model in another one, which has no classifier."""
    usual = fields(entry["name"])
    features = {"num_classes": 0} if "num_classes" in usual else {}
    return {"name": entry["name"], **usual, **features, **entry}


def create(name: str, **kwargs: Any) -> nn.Module:
    """Return a model by name, its fields as keyword arguments.

    Raises:
        UserError: an unknown name or keyword (with the nearest one), a count or width that is no
            whole number or too small, or a shared argument with a value that cannot be.
    """
    return _create(name, kwargs, "model")


def _create(name: str, kwargs: Mapping[str, Any], path: str) -> nn.Module:
    """Return a model; `path` is of its entry in a config, for messages."""
    found = architecture(name)
    values = found.fields()
    for key in kwargs:
        if key not in values:
            raise UserError(f"model '{name}' has no argument '{key}'{suggest(key, values)}")
    values |= kwargs
    # What a person's own fields mean, and so what they may be, is not known.
    own = import_path.is_place(name)
    if not own:
        if values["num_classes"] is None:
            values["num_classes"] = 0
        _check_whole(found, values, path)
    for key, value in values.items():
        if value is None and key in found.required():
            raise UserError(f"model '{name}' needs {path}.{key}, which has no default")
        if is_nested(value):
            inner = {k: v for k, v in nested(value).items() if k != "name"}
            values[key] = _create(value["name"], inner, f"{path}.{key}")
    for field in dataclasses.fields(found.module):
        value = values.get(field.name)
        wanted = field.type in (nn.Module, "nn.Module") and field.name in values
        if wanted and value != field.default and not isinstance(value, nn.Module):
            raise UserError(
                f"{path}.{field.name}={value!r} is no model: give a mapping with its name, as "
                "{'name': 'resnet18'}"
            )
    model = found.module(**values)
    if not own:
        _check(model, path)
    return model


@contextlib.contextmanager
def tracing(name: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Name the model and its arguments in a `UserError` for what is raised while it is traced."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        usual = fields(name) if arguments else {}
        given = [f"{k}={v!r}" for k, v in arguments.items() if k != "name" and v != usual.get(k)]
        words = f" with {', '.join(given)}" if given else ""
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        reason += import_path.line_of(error)
        raise UserError(
            f"model '{name}'{words} cannot be computed for these inputs: {reason}"
        ) from error


# Fields of whole numbers that may be 0: no classifier, no crop.
ZERO = ("num_classes", "jitter_crop")


def _check_whole(architecture: Architecture, values: Mapping[str, Any], path: str) -> None:
    """Raise a `UserError` for widths and counts that are no whole numbers, or too small."""
    own = {field.name: field.default for field in dataclasses.fields(architecture.module)}
    for key, default in architecture.fields().items():
        value, several = values[key], isinstance(default, tuple)
        if {type(n) for n in (default if several else (default,))} != {int}:
            continue
        # Zero means none of these, and where it is the default of the class.
        least = 0 if key in ZERO or own[key] == 0 else 1
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        numbers = value if several and listed else (value,)
        whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers)
        if several != listed or not whole or min(numbers, default=least) < least:
            kind = f"whole numbers of {least}" if several else f"a whole number of {least}"
            raise UserError(f"{path}.{key}={value!r} must be {kind} or more, such as {default}")


def _check(model: Any, path: str) -> None:
    if model.dtype not in DTYPES:
        raise UserError(f"{path}.dtype='{model.dtype}' is unknown{suggest(model.dtype, DTYPES)}")
    # Not every architecture has these.
    dropout, norm, width = (getattr(model, key, None) for key in ("dropout", "norm", "width"))
    if dropout is not None and not 0 <= dropout < 1:
        raise UserError(f"{path}.dropout={dropout} must be at least 0 and below 1")
    if norm is not None and norm not in NORMS:
        raise UserError(
            f"{path}.norm='{norm}' is unknown: use 'batch', 'group', 'layer', or '' for none"
        )
    if width is not None and not 0 < width < math.inf:
        raise UserError(f"{path}.width={width} must be above 0, and finite")
