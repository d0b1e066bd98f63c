"""Spaces as JSON, so that a sweep goes on though its file has changed or is gone."""

import dataclasses
from typing import Any

from cnnlab.sweeps.distributions import Choice, Integers, LogUniform, Uniform
from cnnlab.sweeps.space import Draws, Grid, Listed, Product
from cnnlab.sweeps.values import from_json

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Uniform, LogUniform, Integers, Choice, Grid, Draws, Listed, Product)
}


def describe(part: Any) -> Any:
    """Return a space, or a distribution in it, as plain values with the kind of each part."""
    if type(part) in KINDS.values():
        fields = {f.name: describe(getattr(part, f.name)) for f in dataclasses.fields(part)}
        return {"kind": type(part).__name__, **fields}
    if isinstance(part, dict):
        return {"items": [[key, describe(value)] for key, value in part.items()]}
    if isinstance(part, tuple):
        return [describe(entry) for entry in part]
    return part


def restore(value: Any) -> Any:
    """Return what `describe` was given."""
    if isinstance(value, list):
        return tuple(map(restore, value))
    if not isinstance(value, dict):
        return from_json(value)
    if "items" in value:
        return {key: restore(entry) for key, entry in value["items"]}
    fields = {name: restore(entry) for name, entry in value.items() if name != "kind"}
    return KINDS[value["kind"]](**fields)
