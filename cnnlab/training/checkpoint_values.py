"""The metric's value beside each checkpoint: which are comparable, and which is the best.

`<step>/metrics/metrics` holds the value with the metric's name and direction, and the step since
which it has been measured on the same examples. Orbax keeps it, and asks here how good it is.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.metrics.direction import direction, implied
from cnnlab.utils.files import read_json

LOG = logging.getLogger("cnnlab")
FORM = {"best?": (float, int), "metric?": str, "mode?": str, "since?": int}


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
        unnamed = "max" if mode == "auto" and not metric else ""
        self.mode = implied(metric) or unnamed or direction(metric, mode)

    def entry(self, value: float | None) -> dict[str, Any]:
        """Return what is saved beside a checkpoint; None: it was not evaluated."""
        what = {"metric": self.metric, "mode": self.mode, "since": self.since}
        return what if value is None else {"best": value, **what}

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

    def read(self, step: int) -> dict[str, Any]:
        """Return what is saved at a step; nothing, with a warning, if it is damaged."""
        try:
            return self._read(step)
        except UserError as error:
            LOG.warning("%s", error)
            return {}

    def damaged(self) -> list[Path]:
        """Return the folders of values that cannot be read, with a warning for each."""
        found = []
        for path in sorted(self._folder.glob("[0-9]*/metrics")):
            try:
                self._read(int(path.parent.name))
            except UserError as error:
                LOG.warning("%s", error)
                found.append(path)
        return found

    def _read(self, step: int) -> dict[str, Any]:
        remedy = f"step {step} cannot be the best; its state is used all the same"
        try:
            return read_json(self._folder / str(step) / "metrics" / "metrics", FORM, remedy=remedy)
        except FileNotFoundError:
            return {}

    def _comparable(self, entry: Mapping[str, Any]) -> float | None:
        # Those of earlier versions have the value alone.
        now = self.entry(None)
        same = {**now, "since": 0, **entry}.items() >= now.items()
        return entry.get("best") if same else None
