"""Splits as a network sees them: the vectors of its endpoints, and those of the raw inputs."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from cnnlab.data.loading.batches import EvalData
from cnnlab.data.sources.identity import ids_of
from cnnlab.data.sources.info import COUNTERS
from cnnlab.evaluators import Features
from cnnlab.training.evaluation import evaluate
from cnnlab.training.parallel import Parallel
from cnnlab.training.step import Prepare

# The training split without augmentation; the inputs themselves, as an endpoint.
BANK, PIXELS = "bank", "pixels"
KEY = "key/"


class Stopped(Exception):
    """An embedding was broken off."""


def make_embed_step(vectors: Callable[..., Mapping[str, Any]], prepare: Prepare):
    """Return `step((params, model_state), batch, data, axis_name) -> ({}, (outputs, {}))`.

    Args:
        vectors: `vectors(params, model_state, batch)`, arrays [b, d] by name.
        prepare: the part of the input pipeline on the device.

    The outputs are the vectors, and under `key/` the integers that come with each example.
    """

    def step(variables, batch, data, axis_name=None):
        del data, axis_name
        keys = {
            KEY + name: x
            for name, x in batch.items()
            if name not in COUNTERS and x.ndim == 1 and jnp.issubdtype(x.dtype, jnp.integer)
        }
        prepared = prepare(batch, jax.random.key(0), train=False)
        return {}, ({**vectors(*variables, prepared), **keys}, {})

    return step


def pixels(inputs: PyTree) -> dict[str, Any]:
    """Return a model's inputs, flattened: the control that has learned nothing."""
    flat = [x.reshape(len(x), -1) for x in jax.tree.leaves(inputs)]
    return {PIXELS: flat[0] if len(flat) == 1 else jnp.concatenate(flat, axis=1)}


class FeatureExtractor:
    """Embeds the splits of a run."""

    def __init__(
        self,
        experiment: Any,
        parallel: Parallel,
        prepare: Prepare,
        shapes: tuple[PyTree, PyTree],
        evaluations: Mapping[str, EvalData],
        open_bank: Callable[[], EvalData],
        endpoints: tuple[str, ...],
    ):
        """Wrap the steps.

        Args:
            experiment: whose `embed` gives the vectors.
            parallel: the strategy.
            prepare: the part of the input pipeline on the device.
            shapes: of `(params, model_state)`.
            evaluations: the splits, opened.
            open_bank: opens the training split, when it is first embedded.
            endpoints: the vectors that are wanted.
        """
        self._open_bank, self._parallel, self._data = open_bank, parallel, dict(evaluations)
        self._ids: dict[str, np.ndarray] = {}

        def chosen(params, model_state, batch):
            return experiment.embed(params, model_state, batch, endpoints)

        def flat(params, model_state, batch):
            del params, model_state
            return pixels(experiment.inputs(batch))

        self._steps = {
            raw: parallel.wrap(make_embed_step(function, prepare), state=shapes, train=False)
            for raw, function in ((False, chosen), (True, flat))
        }

    def embed(
        self,
        variables: PyTree,
        split: str,
        *,
        raw: bool = False,
        stop: Callable[[], bool] = bool,
    ) -> dict[str, Features]:
        """Return the embedded split by endpoint.

        Args:
            variables: `(params, model_state)`.
            split: a split of `data.eval.splits`, or BANK.
            raw: return the inputs instead, under PIXELS.
            stop: asked before each batch.

        Raises:
            Stopped: once `stop` is true.
        """
        if split not in self._data:
            self._data[split] = self._open_bank()
        found = evaluate(self._steps[raw], variables, self._data[split], self._parallel, stop)
        if found is None:
            raise Stopped
        outputs = {name: x for name, x in found.outputs.items() if name != "index"}
        keys = {name.removeprefix(KEY): x for name, x in outputs.items() if name.startswith(KEY)}
        source, index = self._data[split].source.source, found.outputs["index"]
        if split not in self._ids:
            self._ids[split] = ids_of(source)
        ids = self._ids[split][index]
        return {
            name: Features(x.astype(np.float32), keys, source, index, ids)
            for name, x in outputs.items()
            if not name.startswith(KEY)
        }
