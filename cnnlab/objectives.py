"""Objectives by name, or by `package.module:Name`.

The table of names is that of `experiments/` in a checkout, which pip installs as
`cnnlab.experiments`.
"""

import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.utils import import_path, installation
from cnnlab.utils.registry import check_keywords


def find(name: str) -> Any:
    """Return the class of an objective.

    Raises:
        UserError: an unknown name, or a place without such a class.
    """
    table: Mapping[str, Any] = {}
    if not import_path.is_place(name):
        table = importlib.import_module(_package()).EXPERIMENTS
    return import_path.pick(table, name, "experiment", _is_objective, "dataclass with a loss()")


def available() -> list[str]:
    """Return the names of the objectives, sorted."""
    return sorted(importlib.import_module(_package()).EXPERIMENTS)


def _package() -> str:
    """Return the name of the package of objectives; a person's own `experiments` is not it."""
    spec = importlib.util.find_spec("experiments")
    file = installation.ROOT / "experiments" / "__init__.py"
    own = spec is not None and spec.origin and Path(spec.origin).resolve() == file
    return "experiments" if own else "cnnlab.experiments"


def _is_objective(found: Any) -> bool:
    # The base of them all has a loss too, but no more than its words.
    abstract = getattr(found, "__module__", "").endswith(".base")
    whole = dataclasses.is_dataclass(found) and hasattr(found, "loss") and hasattr(found, "init")
    return isinstance(found, type) and whole and not abstract


def fields(name: str) -> dict[str, Any]:
    """Return every hyper-parameter of an objective with its default."""
    return {
        field.name: field.default
        for field in dataclasses.fields(find(name))
        if field.default is not dataclasses.MISSING and field.name not in ("sync_bn", "group")
    }


def head_names(experiment: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules on top of the network that objective and model of a config declare.

    Those of models in its fields count too, for they are loaded by themselves.
    """
    names = dict.fromkeys(getattr(find(experiment["name"]), "head_names", ()))

    def add(model: Any) -> None:
        names.update(dict.fromkeys(models.architecture(model["name"]).head_names))
        for value in model.values():
            if hasattr(value, "keys") and "name" in value:
                add(value)

    add(model)
    return tuple(names)


def create(
    experiment: Mapping[str, Any], model: Mapping[str, Any], *, sync_bn: bool = False
) -> Any:
    """Build the objective that a config describes.

    Args:
        experiment: `name` and the keyword arguments of the class behind it; a mapping with `name`
            among them is a model.
        model: `name` and the keyword arguments of the model.
        sync_bn: share BatchNorm's batch statistics between the replicas of `pmap`.

    Raises:
        UserError: for an unknown name or keyword, with the nearest right one.
    """
    chosen = {
        key: models.create(**models.nested(value)) if models.is_nested(value) else value
        for key, value in experiment.items()
        if key != "name"
    }
    cls = find(experiment["name"])
    check_keywords(cls, chosen, f"experiment '{experiment['name']}'")
    for field in dataclasses.fields(cls):
        if getattr(cls, field.name, field.default) != field.default:
            # Without its type the value of a subclass is none of a dataclass.
            raise UserError(
                f"experiment '{experiment['name']}': write '{field.name}: {field.type} = ...', "
                "with its type, or the objective does not get the value"
            )
    needed = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
    if missing := sorted(needed - {"model", *chosen}):
        raise UserError(f"experiment '{experiment['name']}' needs experiment.{missing[0]}")
    return cls(model=models.create(**model), sync_bn=sync_bn, **chosen)
