"""The metric's value beside each checkpoint: which are comparable, and which is the best.

`<step>/metrics/metrics` holds the value with the metric's name and direction, and the step since
which it has been measured on the same examples, and a checksum. Orbax keeps it, and asks here how
good it is. Where it is damaged or gone, it is read from `metrics.jsonl` or the saved position.
"""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.metrics.direction import direction, implied
from cnnlab.training.checkpoint_record import seal, unseal
from cnnlab.training.writer import read_rows
from cnnlab.utils.files import damaged, read_json
from cnnlab.utils.registry import whole

LOG = logging.getLogger("cnnlab")
FORM = {"best?": (float, int), "metric?": str, "mode?": str, "since?": int, "checksum?": int}


class Values:
    """The values of one metric.

    Attributes:
        metric: its name; "" for none.
        mode: "max" or "min".
        since: the step from which on values are comparable: earlier ones are of another metric or
            of other examples.
    """

    def __init__(self, folder: Path, metric: str, mode: str):
        """Take the values beside the checkpoints in a folder.

        Raises:
            UserError: for a mode that there is not, or that the metric's name leaves open.
        """
        self._folder, self.metric, self.since = folder, metric, 0
        self._recovered: dict[int, dict[str, Any]] = {}
        unnamed = "max" if mode == "auto" and not metric else ""
        self.mode = implied(metric) or unnamed or direction(metric, mode)

    def entry(self, value: float | None) -> dict[str, Any]:
        """Return what is saved beside a checkpoint; None: it was not evaluated."""
        what = {"metric": self.metric, "mode": self.mode, "since": self.since}
        return seal(what if value is None else {"best": value, **what})

    def rank(self, entry: Mapping[str, Any]) -> float:
        """Return what the best entry has the most, or in mode "min" the least, of."""
        worst = -math.inf if self.mode == "max" else math.inf
        value = self._comparable(entry)
        return worst if value is None else value

    def of(self, step: int) -> float | None:
        """Return the value at a step, None if none that is comparable was saved."""
        return self._comparable(self.read(step))

    def best(self, steps: Sequence[int]) -> int | None:
        """Return the step with the best value, the last of equals; None without any."""
        sign = 1 if self.mode == "max" else -1
        values = {step: self.of(step) for step in steps}
        ranked = [(sign * value, step) for step, value in values.items() if value is not None]
        return max(ranked)[1] if ranked else None

    def step_of(self, which: str, steps: Sequence[int]) -> int:
        """Return which of the steps is meant by `latest`, `best` or a number.

        Raises:
            UserError: if there is no such checkpoint; names those there are.
        """
        if not steps:
            raise UserError(f"no checkpoint in {self._folder}: train there first")
        if which == "latest":
            return steps[-1]
        if which == "best":
            best = self.best(steps)
            if not self.metric:
                raise UserError(
                    "checkpoint=best: the run keeps no best checkpoint (checkpoint.best is empty): "
                    f"use latest or a step of {steps}"
                )
            if best is None:
                raise UserError(
                    f"no checkpoint in {self._folder} was saved with the metric "
                    f"'{self.metric}': use latest or a step of {steps}"
                )
            return best
        step = whole(which)
        if step is None or step not in steps:
            known = ", ".join(map(str, steps))
            raise UserError(f"checkpoint '{which}': needs latest, best or a step of {known}")
        return step

    def read(self, step: int) -> dict[str, Any]:
        """Return what is saved at a step, or with a warning what can be recovered of it."""
        try:
            return self._read(step)
        except (FileNotFoundError, UserError):
            if step not in self._recovered:
                self._recovered[step] = self._recover(step)
            return self._recovered[step]

    def damaged(self) -> list[tuple[Path, dict[str, Any]]]:
        """Return the folders of values that are damaged or gone, with what can be recovered."""
        found = []
        for step in self._steps():
            entry, path = self.read(step), self._folder / str(step) / "metrics"
            if step in self._recovered and ("best" in entry or os.path.lexists(path)):
                found.append((path, entry))
        return found

    def _steps(self) -> list[int]:
        folders = (path for path in self._folder.glob("[0-9]*") if path.is_dir())
        return sorted(int(path.name) for path in folders if path.name.isdecimal())

    def _read(self, step: int, remedy: str = "") -> dict[str, Any]:
        path = self._folder / str(step) / "metrics" / "metrics"
        entry = read_json(path, FORM, remedy=remedy)
        # Those of earlier versions have the value alone.
        if not entry.keys() & {"best", "metric"}:
            raise damaged(path, "'best' is missing", remedy)
        plain = {key: value for key, value in entry.items() if key != "checksum"}
        if "checksum" in entry and entry != seal(plain):
            raise damaged(path, "it is not what was saved", remedy)
        return entry

    def _recover(self, step: int) -> dict[str, Any]:
        """Return what other files say of a step, with a warning; {} if they say nothing."""
        entry, source = self._elsewhere(step)
        remedy = f"step {step} cannot be the best; its state is used all the same"
        if source:
            remedy = f"its {self.metric} of {entry['best']:.4g} is taken from {source}"
        try:
            self._read(step, remedy)
        except FileNotFoundError as error:
            if entry:  # a checkpoint of an earlier version need not have had one
                LOG.warning("%s is missing: %s", error.filename, remedy)
        except UserError as error:
            LOG.warning("%s", error)
        return entry

    def _elsewhere(self, step: int) -> tuple[dict[str, Any], str]:
        """Return the entry of a step from other files, and the source of its value or ""."""
        place = self._folder / str(step) / "position"
        try:
            record = unseal(read_json(place / "metadata", remedy=""))
        except (OSError, ValueError):
            return {}, ""
        criterion = record.get("criterion") or {}
        what = {"metric": self.metric, "mode": self.mode, **criterion}
        if not self.metric or (what["metric"], what["mode"]) != (self.metric, self.mode):
            return {}, ""
        saved = {key: what[key] for key in ("metric", "mode")} | {"since": record.get("since", 0)}
        value, best = self._recorded(step), record.get("best")
        sign = 1 if self.mode == "max" else -1
        if value is not None and (best is None or sign * value <= sign * best):
            return seal({"best": value, **saved}), str(self._metrics)
        # The last evaluation was the best one: of this step, unless it is an earlier one's.
        earlier = (self.read(other).get("best") for other in self._steps() if other < step)
        if best is not None and record.get("stale") == 0 and best not in earlier:
            return seal({"best": best, **saved}), str(place)
        return (seal(saved) if criterion else {}), ""

    @property
    def _metrics(self) -> Path:
        return self._folder.parent / "metrics.jsonl"

    def _recorded(self, step: int) -> float | None:
        """Return the value at a step in the records of the run, None if it is not there."""
        try:
            values = [
                row[self.metric]
                for row in read_rows(self._metrics)
                if row["step"] == step and self.metric in row
            ]
        except UserError:
            return None
        return values[-1] if values and math.isfinite(values[-1]) else None

    def _comparable(self, entry: Mapping[str, Any]) -> float | None:
        # Those of earlier versions have the value alone.
        now = {"metric": self.metric, "mode": self.mode, "since": self.since}
        same = {**now, "since": 0, **entry}.items() >= now.items()
        return entry.get("best") if same else None
