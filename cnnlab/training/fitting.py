"""Objectives without gradients: `fit(source) -> variables` is the one step of their training."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree
from ml_collections import ConfigDict

from cnnlab.data.loading import pipeline
from cnnlab.data.loading.batches import EvalData
from cnnlab.errors import UserError
from cnnlab.training.state import TrainState, leaf_names
from cnnlab.training.step import Report
from cnnlab.utils.describe import describe, place_of

# Entries of a config that change how gradients are used, with the only value that means anything.
ONLY: dict[str, Any] = {
    "steps": 1,
    "accumulation": 1,
    "ema_decay": 0.0,
    "freeze": (),
    "init.name": "model",
    "init_from.path": "",
    "data.train.augment": {},
}


def is_fitted(experiment: Any) -> bool:
    """Return whether an objective has `fit` in place of a loss."""
    return getattr(experiment, "fit", None) is not None


def check(config: Any, experiment: Any) -> None:
    """Raise a `UserError` if an objective with `fit` is to be trained as with gradients."""
    if not is_fitted(experiment):
        return
    for path, only in ONLY.items():
        entry = config
        for key in path.split("."):
            entry = entry[key]
        if (entry.to_dict() if isinstance(entry, ConfigDict) else entry) != only:
            raise UserError(
                f"experiment '{config.experiment.name}' is fitted in one step, without gradients: "
                f"set --config.{path}={only!r}"
            )


class TrainingSet:
    """What `fit` gets: the training split as an evaluation sees it, on the host.

    Examples are preprocessed as in evaluation and normalized, not augmented. `len(source)`,
    `source[i]`, `source.info` and `source.batches()`, every readable example once.
    """

    def __init__(self, data: EvalData, prepare: Callable[..., dict[str, Any]]):
        """Take the split, and the part of the input pipeline on the device."""
        self._data, self.info = data.whole(), data.source.info
        key = jax.random.key(0)
        self._prepare = jax.jit(lambda batch: prepare(batch, key, train=False))

    def __len__(self) -> int:
        return self._data.count

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: x[0] for key, x in self._prepared(self._raw(index, 1)).items()}

    def batches(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield batches of arrays [b, ...], the last one shorter."""
        for batch in self._data.batches():
            valid = batch.pop("valid")
            yield {key: x[valid] for key, x in self._prepared(batch).items()}

    def example(self) -> dict[str, np.ndarray]:
        """Return a batch, not prepared, with a row for each example, all as the first."""
        return self._raw(0, len(self))

    def skipped(self) -> int:
        """Return how many examples have been found corrupt so far."""
        return self._data.skipped()

    def _prepared(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return jax.device_get(self._prepare(batch))

    def _raw(self, index: int, rows: int) -> dict[str, np.ndarray]:
        found = {k: np.asarray(x) for k, x in self._data.source[index].items() if k != "valid"}
        return {k: np.broadcast_to(x, (rows, *x.shape)) for k, x in found.items()}


def training_set(
    experiment: Any,
    data: Mapping[str, Any],
    prepare: Callable[..., Any],
    *,
    batch_size: int,
    seed: int,
) -> TrainingSet | None:
    """Return what an objective is fitted to; None for one that is trained by gradients.

    Args:
        experiment: the objective.
        data: the config's `data`, whose training split it is.
        prepare: the part of the input pipeline on the device.
        batch_size: of reading.
        seed: of the draw of `per_class` examples.
    """
    if not is_fitted(experiment):
        return None
    train = data["train"]
    options = {"batch_size": batch_size, "per_class": train["per_class"], "seed": seed}
    return TrainingSet(pipeline.eval_data(data, train["split"], **options), prepare)


def make_fit_step(
    experiment: Any,
    source: TrainingSet,
    shapes: PyTree,
    state_of: Callable[[PyTree], TrainState],
    place: Callable[[PyTree], PyTree],
) -> Callable[..., tuple[TrainState, Report]]:
    """Return `step(state, batch, data) -> (state, report)` that fits the objective.

    Args:
        experiment: with `fit`.
        source: what it is fitted to; each process reads all of it.
        shapes: of the variables, from `init`.
        state_of: variables -> the state of step 0.
        place: puts a state on the devices.
    """

    def step(state: TrainState, batch: Any, data: Any) -> tuple[TrainState, Report]:
        del batch, data
        variables = _like(shapes, place_of(experiment), experiment.fit(source), source)
        fitted = dataclasses.replace(state_of(variables), step=np.asarray(state.step) + 1)
        return place(fitted), Report({}, np.int32(-1))

    return step


def _like(shapes: PyTree, place: str, variables: PyTree, source: TrainingSet) -> PyTree:
    """Return the variables with the types of `shapes`, or say in what they differ."""
    if not isinstance(variables, Mapping):
        raise UserError(
            f"experiment '{place}': fit returned {describe(variables)}; it has to return the "
            "variables by collection, as {'params': ...}"
        )
    expected = dict(zip(leaf_names(shapes), jax.tree.leaves(shapes), strict=True))
    found = dict(zip(leaf_names(variables), jax.tree.leaves(variables), strict=True))
    for name in sorted({*expected, *found}):
        wanted, given = (np.shape(x[name]) if name in x else None for x in (expected, found))
        if wanted == given:
            continue
        hint = ""
        if source.skipped():
            hint = f"; {source.skipped()} examples are corrupt: set --config.data.placement=memory"
        fit, init = ("none" if x is None else f"shape {x}" for x in (given, wanted))
        raise UserError(f"experiment '{place}': fit returned {fit} of '{name}', init {init}{hint}")
    structure = jax.tree.structure(shapes)
    leaves = [np.asarray(found[name], x.dtype) for name, x in expected.items()]
    return jax.tree.unflatten(structure, leaves)
