"""Evaluation: every example of a split exactly once, metrics merged, predictions on the host."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from cnnlab.launch import distributed, kv_store
from cnnlab.metrics import merge
from cnnlab.training.parallel import Parallel


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A split, evaluated.

    Attributes:
        metrics: merged metrics by name, as objects (`.compute()` gives the number).
        outputs: per-example predictions by name, each example once, with `index`, its position
            in the source; none if they were not to be kept.
    """

    metrics: dict[str, Any]
    outputs: dict[str, np.ndarray]

    def scalars(self) -> dict[str, float]:
        """Return the metrics that are one number; means of nothing at all are left out."""
        counted = {
            name: metric
            for name, metric in self.metrics.items()
            if np.all(getattr(metric, "count", 1) != 0)
        }
        computed = {name: np.asarray(metric.compute()) for name, metric in counted.items()}
        return {name: float(value) for name, value in computed.items() if value.ndim == 0}


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
    outputs: list[dict[str, np.ndarray]] = []
    for batch in data.batches():
        if stop():
            return None
        metrics, out = step(variables, parallel.place_batch(batch), {})
        # float64 on the host: sums over a large set would lose digits in float32.
        metrics = jax.tree.map(_wide, jax.device_get(metrics))
        total = metrics if total is None else merge(total, metrics)
        if keep:
            out = {**parallel.local_rows(out), "index": batch["index"]}
            outputs.append({key: value[batch["mask"]] for key, value in out.items()})
    if kv_store.count() > 1:
        data.share_skipped(distributed.gather_rows)
    assert total is not None, "an empty split is refused when it is opened"
    return Evaluation(total, _joined(outputs))


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the rows of all batches and processes, in the order of the source."""
    if not parts:
        return {}
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if kv_store.count() == 1:
        return rows
    rows = distributed.gather_rows(rows)
    order = np.argsort(rows["index"], kind="stable")
    return {key: values[order] for key, values in rows.items()}


def _wide(leaf: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(np.int64 if np.issubdtype(leaf.dtype, np.integer) else np.float64)
