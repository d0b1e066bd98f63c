"""Settings of a sweep as `sweep.json` keeps them, the search space as JSON among them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from flax.traverse_util import unflatten_dict

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.sweeps.distributions import Choice, Integers, LogUniform, Uniform
from cnnlab.sweeps.space import Draws, Grid, Listed, Point, Product, Space
from cnnlab.sweeps.values import from_json
from cnnlab.training.run_folder import difference
from cnnlab.utils.files import damaged, read_json

FILE = "sweep.json"
# Entries that may change when a sweep is resumed; `base` has the overrides.
FREE = ("config", "overrides", "sweep", "trials")
REPORTED = ("metric", "mode")
FORM = {
    **dict.fromkeys(("config", "sweep", "metric", "mode", "search", "pruner"), str),
    **dict.fromkeys(("overrides", "base"), dict),
    "points": [dict],
    **dict.fromkeys(("repeat", "trials"), int),
}
KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Uniform, LogUniform, Integers, Choice, Grid, Draws, Listed, Product)
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a sweep.

    Attributes:
        config: config file, with a variant after a colon.
        overrides: entries that every trial sets alike, before its own.
        base: the whole config that trials start from, under dotted names.
        sweep: the sweep file.
        space: what it returned.
        points: what a fixed sweep tries, duplicates removed; empty for a search.
        repeat: runs of each point, with the seeds that follow the config's.
        metric: what trials are compared by, `validation/accuracy`; may be empty without a search.
        mode: `max` or `min`.
        search: empty for a fixed sweep, else `tpe` or `random`.
        pruner: empty, `median` or `asha`.
        trials: how many trials a search makes.
    """

    config: str
    overrides: dict[str, Any]
    base: dict[str, Any]
    sweep: str
    space: Space
    points: list[Point]
    repeat: int = 1
    metric: str = ""
    mode: str = "max"
    search: str = ""
    pruner: str = ""
    trials: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**fields, "space": describe(self.space)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Settings":
        """Return what `to_json` was made of."""
        restored = {name: from_json(value) for name, value in values.items() if name != "space"}
        restored["points"] = list(restored["points"])
        return cls(**restored, space=restore(values["space"]))

    def changes(self, new: "Settings") -> list[str]:
        """Return a line for every entry in which the trials of other settings would differ."""
        return difference(self._fixed(), new._fixed())

    def _fixed(self) -> dict[str, Any]:
        free = FREE if self.search else FREE + REPORTED
        values = {k: v for k, v in json.loads(json.dumps(self.to_json())).items() if k not in free}
        values["base"] = cfg.completed(unflatten_dict(values["base"], sep="."))
        values["points"] = {f"{number}": point for number, point in enumerate(values["points"])}
        return values


def read_settings(path: Path) -> Settings:
    """Return the settings of the sweep in a folder.

    Raises:
        UserError: no sweep in the folder, or a damaged sweep.json.
    """
    file = path / FILE
    remedy = "restore it, or use a new folder"
    try:
        saved = read_json(file, FORM, remedy=remedy)
    except FileNotFoundError:
        raise UserError(f"no sweep in {path}: there is no sweep.json") from None
    try:
        return Settings.from_json(saved)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise damaged(file, repr(error), remedy) from None


def describe(part: Any) -> Any:
    """Return a space, or a distribution in it, as JSON values with the kind of each part.

    With it a sweep resumes although its file has changed or is gone.
    """
    if type(part) in KINDS.values():
        fields = {f.name: describe(getattr(part, f.name)) for f in dataclasses.fields(part)}
        return {"kind": type(part).__name__, **fields}
    if isinstance(part, dict):
        return {"items": [[key, describe(value)] for key, value in part.items()]}
    if isinstance(part, tuple):
        return [describe(entry) for entry in part]
    return part


def restore(value: Any) -> Any:
    """Return the space that `describe` has described."""
    if isinstance(value, list):
        return tuple(map(restore, value))
    if not isinstance(value, dict):
        return from_json(value)
    if "items" in value:
        return {key: restore(entry) for key, entry in value["items"]}
    fields = {name: restore(entry) for name, entry in value.items() if name != "kind"}
    return KINDS[value["kind"]](**fields)
