"""The contract between an objective and the trainer (DESIGN, contract 2)."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Float, PyTree

Batch = dict[str, Any]


class Aux(NamedTuple):
    """What a loss returns beside its value.

    Attributes:
        model_state: the collections of the model other than `params`, after this batch.
        metrics: mergeable sums by name (`cnnlab.metrics`); psum and `+` merge them.
        outputs: per-example predictions by name, leading axis the batch; gathered to the host by
            the evaluation, for metrics over a whole set. Empty in training.
    """

    model_state: PyTree
    metrics: dict[str, Any]
    outputs: dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An objective: hyper-parameters and pure methods, no arrays.

    Attributes:
        model: maps inputs to `(output, endpoints)`.
        sync_bn: whether a model with BatchNorm shares its batch statistics over the replicas.
    """

    model: nn.Module
    sync_bn: bool = False

    def inputs(self, batch: Batch) -> Any:
        """Return what the model is applied to."""
        return batch["image"]

    def init(self, rng: Any, batch: Batch) -> dict[str, PyTree]:
        """Return the model's variables; `batch` is a prepared batch, of which one row is used."""
        row = jax.tree.map(lambda x: x[:1], self.inputs(batch))
        return dict(self.model.init(rng, row, train=False))

    def apply(
        self,
        params: PyTree,
        model_state: PyTree,
        batch: Batch,
        rng: Any,
        *,
        train: bool,
        axis_name: str | None,
    ) -> tuple[Array, dict[str, Array], PyTree]:
        """Apply the model; return its output, its endpoints and the model state after it."""
        variables = {"params": params, **model_state}
        model = self.model
        if self.sync_bn and axis_name is not None and hasattr(model, "norm_axis_name"):
            model = model.clone(norm_axis_name=axis_name)
        if not train:
            result: Any = model.apply(variables, self.inputs(batch), train=False)
            output, endpoints = result
            return output, endpoints, model_state
        result, new_state = model.apply(
            variables,
            self.inputs(batch),
            train=True,
            rngs={"dropout": rng},
            mutable=list(model_state),
        )
        output, endpoints = result
        return output, endpoints, dict(new_state)

    def loss(
        self,
        params: PyTree,
        model_state: PyTree,
        batch: Batch,
        rng: Any,
        *,
        train: bool,
        axis_name: str | None,
    ) -> tuple[Float[Array, ""], Aux]:
        """Return the scalar to minimise and what goes with it; the same function for validation.

        `batch["mask"]`, where there is one, is False for padding: such rows count nowhere.
        """
        raise NotImplementedError

    def check(self, info: Any) -> None:
        """Raise a `UserError` for a source (its `Info`) that this objective cannot learn from."""

    def report(self, evaluation: Any, source: Any, folder: Path) -> dict[str, Any]:
        """Draw figures of an evaluated split into `folder`; return whole-set numbers by name."""
        del evaluation, source, folder
        return {}
