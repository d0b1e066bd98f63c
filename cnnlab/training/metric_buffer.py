"""Metrics between two records: kept on the device, fetched together, summed on the host."""

from collections import deque
from typing import Any

import jax
import numpy as np

from cnnlab.errors import UserError

# Steps that may be in flight: enough to hide the host, few enough that Ctrl-C is heard.
IN_FLIGHT = 4


class NonFinite(UserError):
    """The loss or something behind it is no longer a number."""

    def __init__(self, step: int, leaf: str, *, summarized: bool = False):
        """`summarized`: it is of a whole split, such as what `summarize` returns."""
        super().__init__(f"step {step}: '{leaf}' is not finite")
        self.step, self.leaf, self.summarized = step, leaf, summarized


class MetricBuffer:
    """Collects the reports of steps without making the device wait for the host."""

    def __init__(self, names: list[str]):
        """`names`: what `Report.bad` is an index into."""
        self._names = names
        self._waiting: deque[tuple[int, Any]] = deque()
        self._sums: Any = None
        self._restored: list[Any] | None = None

    def add(self, step: int, report: Any) -> None:
        """Take the report of the dispatch whose last step is `step`; waits for an earlier one."""
        self._waiting.append((step, report))
        if len(self._waiting) > IN_FLIGHT:
            jax.block_until_ready(self._waiting[-IN_FLIGHT - 1][1].bad)

    def fetch(self) -> None:
        """Bring what waits to the host.

        Raises:
            NonFinite: for the first step whose values were not all finite.
        """
        waiting = list(self._waiting)
        self._waiting.clear()
        reports = jax.device_get([report for _, report in waiting])
        for (last, _), report in zip(waiting, reports, strict=True):
            bad = np.atleast_1d(report.bad)
            for offset in np.flatnonzero(bad >= 0):
                raise NonFinite(last - len(bad) + 1 + int(offset), self._names[bad[offset]])
            # One after another in float64: a resumed run adds in the same order.
            leaves = [np.asarray(x, np.float64) for x in jax.tree.leaves(report.metrics)]
            rows = (
                [[x[i] for x in leaves] for i in range(len(bad))]
                if np.ndim(report.bad)
                else [leaves]
            )
            structure = jax.tree.structure(report.metrics)
            for row in rows:
                self._add(jax.tree.unflatten(structure, row))

    def _add(self, metrics: Any) -> None:
        if self._restored is not None:
            structure = jax.tree.structure(metrics)
            self._sums = jax.tree.unflatten(structure, map(np.float64, self._restored))
            self._restored = None
        if self._sums is None:
            self._sums = metrics
        else:
            self._sums = jax.tree.map(np.add, self._sums, metrics)

    def flush(self) -> dict[str, float]:
        """Return the metrics since the last flush as numbers, and start again."""
        self.fetch()
        sums, self._sums = self._sums, None
        if sums is None:
            return {}
        return {name: float(metric.compute()) for name, metric in sums.items()}

    def state(self) -> list[float] | None:
        """Return the sums so far, JSON-like."""
        self.fetch()
        if self._sums is None:
            return self._restored
        return [float(x) for x in jax.tree.leaves(self._sums)]

    def restore(self, state: list[float] | None) -> None:
        """Continue from what `state` returned."""
        self._restored, self._sums = state, None
