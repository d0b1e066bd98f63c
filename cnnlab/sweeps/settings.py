"""What a sweep was asked to do, as `sweep.json` keeps it."""

import dataclasses
from typing import Any

from cnnlab.sweeps.space import Point, Space
from cnnlab.sweeps.space_json import describe, restore
from cnnlab.sweeps.values import from_json


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a sweep was asked to do.

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
