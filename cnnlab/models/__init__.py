"""Models by name. `output, endpoints = model.apply(variables, images, train=False)`.

Images are NHWC floats; `endpoints` is an ordered dict of every named stage, last "features" (what
goes into the classifier) and "logits". All models take `num_classes` (0: no classifier, the output
is the features), `dtype` (of the computation; parameters and output are float32), `dropout`,
`norm` and `norm_axis_name`.
"""

import dataclasses
import fnmatch
from typing import Any

import flax.linen as nn

from cnnlab.choices import pick, suggest
from cnnlab.errors import UserError
from cnnlab.models.lenet5 import LeNet5
from cnnlab.models.mlp import MLP

MODELS: dict[str, type[nn.Module]] = {"lenet5": LeNet5, "mlp": MLP}

DTYPES = {"float32", "bfloat16", "float16", "float64"}
NORMS = {"", "batch"}


def available(pattern: str = "*") -> list[str]:
    """Return the names of the models that match a shell pattern, sorted."""
    return sorted(fnmatch.filter(MODELS, pattern))


def create(name: str, **kwargs: Any) -> nn.Module:
    """Return a model by name, its fields as keyword arguments.

    Raises:
        UserError: an unknown name or keyword (with the nearest one), or a shared argument with a
            value that cannot be.
    """
    cls = pick(MODELS, name, "model")
    # flax adds `parent` and `name`, which are not for configs.
    known = [f.name for f in dataclasses.fields(cls) if f.name not in ("parent", "name")]
    for key in kwargs:
        if key not in known:
            raise UserError(f"model '{name}' has no argument '{key}'{suggest(key, known)}")
    model = cls(**kwargs)
    _check(model)
    return model


def _check(model: Any) -> None:
    if model.num_classes < 0:
        raise UserError(f"model.num_classes={model.num_classes} must be 0 (features only) or more")
    if not 0 <= model.dropout < 1:
        raise UserError(f"model.dropout={model.dropout} must be at least 0 and below 1")
    if model.dtype not in DTYPES:
        raise UserError(f"model.dtype='{model.dtype}' is unknown{suggest(model.dtype, DTYPES)}")
    if model.norm not in NORMS:
        raise UserError(f"model.norm='{model.norm}' is unknown: use 'batch', or '' for none")
