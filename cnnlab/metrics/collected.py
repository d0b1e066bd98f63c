"""Metrics of a whole set that are no sum over its examples, as an average precision."""

from collections.abc import Mapping
from typing import Any


class Collected:
    """Base of the metrics that need every example at once.

    Each is a `flax.struct.dataclass` of arrays [b, ...], a row an example. An evaluation gathers
    the rows of all batches, devices and processes, each example once, in the order of the source;
    `compute` then finds them as numpy arrays. In training they are left out.
    """

    def compute(self) -> Any:
        """Return the value: a float, NaN where there is nothing to measure, or a numpy array."""
        raise NotImplementedError


def partition(metrics: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metrics that are sums, and those that are collected."""
    collected = {name: m for name, m in metrics.items() if isinstance(m, Collected)}
    return {name: m for name, m in metrics.items() if name not in collected}, collected
