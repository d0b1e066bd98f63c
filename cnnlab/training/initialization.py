"""What the parameters start from: the model's own random weights, or weights scaled on data."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.layers.lsuv import lsuv
from cnnlab.utils.console import LOG
from cnnlab.utils.registry import pick


def from_model(
    model: nn.Module, variables: PyTree, batch: Callable[[int], Any], key: Any
) -> PyTree:
    """Keep the weights that the model's layers drew."""
    del model, batch, key
    return variables


def from_data(
    model: nn.Module,
    variables: PyTree,
    batch: Callable[[int], Any],
    key: Any,
    *,
    batch_size: int = 256,
    tolerance: float = 0.1,
    max_iterations: int = 10,
    skip_last: bool = False,
) -> PyTree:
    """Scale orthonormal weights until every layer's output has variance 1 (`cnnlab.layers.lsuv`).

    Args:
        model: whose weights they are.
        variables: of the model.
        batch: returns the model's input for the first so many training examples.
        key: of the orthonormal start.
        batch_size: examples to measure variances on.
        tolerance: distance from 1 that is near enough.
        max_iterations: divisions of a kernel after which the next layer's turn comes.
        skip_last: leave the last layer alone.
    """
    if batch_size < 1:
        raise UserError(f"init.lsuv.batch_size={batch_size}: needs to be at least 1")
    scaled, report = lsuv(
        model,
        jax.device_put(variables),
        batch(batch_size),
        key=key,
        tolerance=tolerance,
        max_iterations=max_iterations,
        skip_last=skip_last,
        call={"train": False},
    )
    far = [row.name for row in report if abs(row.after - 1) >= tolerance]
    LOG.info("lsuv: %d layers scaled on %d examples", len(report), batch_size)
    if far:
        LOG.warning("lsuv: variance still not 1 after %d turns: %s", max_iterations, ", ".join(far))
    return scaled


INITS: dict[str, Callable[..., PyTree]] = {"model": from_model, "lsuv": from_data}


def make(config: Mapping[str, Any]) -> Callable[..., PyTree]:
    """Return a function `(experiment, variables, source, prepare, key) -> variables` for an `init`.

    The model's input is what the experiment applies it to, from the first examples of the source
    without augmentation: the same on every host.

    Raises:
        UserError: for an unknown name.
    """
    function = pick(INITS, config["name"], "init")
    options = config.get(config["name"], {})

    def init(
        experiment: Any, variables: PyTree, source: Any, prepare: Callable, key: Any
    ) -> PyTree:
        def batch(count: int) -> Any:
            examples = _first(source, count)
            prepared = jax.jit(lambda batch: prepare(batch, key, train=False))(examples)
            return experiment.inputs(prepared)

        return function(experiment.model, variables, batch, key, **options)

    return init


def _first(source: Any, count: int) -> dict[str, np.ndarray]:
    examples = [source[n] for n in range(min(count, len(source)))]
    return {k: np.stack([np.asarray(e[k]) for e in examples]) for k in examples[0] if k != "valid"}
