"""Evaluation: every example of a split exactly once, metrics merged, predictions on the host."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from cnnlab.launch import distributed, kv_store
from cnnlab.metrics import merge
from cnnlab.metrics.collected import partition
from cnnlab.training.parallel import Parallel


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A split, evaluated.

    Attributes:
        metrics: merged metrics by name, as objects (`.compute()` gives the number).
        outputs: per-example predictions by name, each example once, in the order of the source,
            with `index`, its position there; none if they were not to be kept.
        summary: more numbers by name: what the objective makes of all outputs, and those of the
            moving average; NaN where there was nothing to measure.
        of: run and step of what was evaluated, for titles; "" where not known.
    """

    metrics: dict[str, Any]
    outputs: dict[str, np.ndarray]
    summary: Mapping[str, float] = dataclasses.field(default_factory=dict)
    of: str = ""

    def scalars(self) -> dict[str, float]:
        """Return all that is one number; what there was nothing to measure of is left out."""
        sums, _ = partition(self.metrics)
        counted = {n: m for n, m in sums.items() if np.all(getattr(m, "count", 1) != 0)}
        computed = {n: np.asarray(m.compute()) for n, m in counted.items()}
        computed |= {n: x for n, x in self._collected.items() if not np.any(np.isnan(x))}
        single = {n: float(value) for n, value in computed.items() if value.ndim == 0}
        return {**single, **{n: x for n, x in self.summary.items() if not math.isnan(x)}}

    def missing(self) -> list[str]:
        """Return the names of single numbers of the whole set that are NaN, and so no scalars."""
        values: dict[str, Any] = {**self._collected, **self.summary}
        return [n for n, x in values.items() if np.ndim(x) == 0 and np.isnan(x)]

    @functools.cached_property
    def _collected(self) -> dict[str, np.ndarray]:
        return {n: np.asarray(m.compute()) for n, m in partition(self.metrics)[1].items()}


def evaluate(
    step: Callable[..., Any],
    variables: PyTree,
    data: Any,
    parallel: Parallel,
    stop: Callable[[], bool] = bool,
    *,
    keep: bool = True,
) -> Evaluation | None:
    """Run a compiled evaluation step over `data.batches()`.

    Args:
        step: from `step.make_eval_step`, wrapped by `parallel`.
        variables: `(params, model_state)`.
        data: an `EvalData`; each process reads its own part.
        parallel: the strategy.
        stop: asked before each batch; once true, the result is None.
        keep: keep the outputs, of all processes in every process.
    """
    total: dict[str, Any] | None = None
    parts: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for batch in data.batches():
        if stop():
            return None
        metrics, (out, collected) = step(variables, parallel.place_batch(batch), {})
        # float64 on the host: sums over a large set would lose digits in float32.
        metrics = jax.tree.map(_wide, jax.device_get(metrics))
        total = metrics if total is None else merge(total, metrics)
        if keep or collected:
            rows = parallel.local_rows((out if keep else {}, collected))
            kept = ({**rows[0], "index": batch["index"]}, rows[1])
            parts.append(jax.tree.map(lambda x, real=batch["valid"]: x[real], kept))
    if kv_store.process_count() > 1:
        data.share_skipped(distributed.gather_rows)
    assert total is not None, "an empty split is refused when it is opened"
    outputs, collected = _joined(parts) if parts else ({}, {})
    return Evaluation({**total, **collected}, outputs if keep else {})


def _joined(
    parts: list[tuple[dict[str, Any], dict[str, Any]]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the rows of all batches and processes, in the order of the source."""
    rows = jax.tree.map(lambda *values: np.concatenate(values), *parts)
    if kv_store.process_count() == 1:
        return rows
    rows = distributed.gather_rows(rows)
    order = np.argsort(rows[0]["index"], kind="stable")
    return jax.tree.map(lambda values: values[order], rows)


def _wide(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(np.int64 if np.issubdtype(leaf.dtype, np.integer) else np.float64)
