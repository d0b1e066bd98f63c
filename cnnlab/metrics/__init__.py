"""Metrics: pytrees of sums, exact over padded and sharded batches. Merge, then compute."""

from cnnlab.metrics.metric import Metric, merge

__all__ = ["Metric", "merge"]
