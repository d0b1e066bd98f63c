"""Classification by a model that is fitted to the training set at once, without gradients."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.metrics.classification import Confusion, top_k
from cnnlab.plots import classification_figures

from .base import Aux, Batch, Experiment
from .supervised import check_outputs, per_class_accuracy


@dataclasses.dataclass(frozen=True)
class Fitted(Experiment):
    """Fit a model that has `fit(inputs, labels) -> variables`, and count what it classifies right.

    Attributes:
        target: key of the labels, integers below the model's `num_classes`.
    """

    target: str = "label"

    def init(self, rng: Any, batch: Batch) -> dict[str, Any]:
        """Return the model's variables; `batch` has as many rows as the training set."""
        return {"params": {}, **self.model.init(rng, self.inputs(batch), train=False)}

    def fit(self, source: Any) -> dict[str, Any]:
        """Return the variables that the model makes of all inputs and labels."""
        batches = [(self.inputs(b), b[self.target]) for b in source.batches()]
        inputs, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
        model: Any = self.model
        return model.fit(inputs, labels)

    def evaluate(self, params, model_state, batch, rng, *, axis_name) -> Aux:
        """Return accuracy and confusion; see `Experiment.evaluate`."""
        scores, _, model_state = self.apply(
            params, model_state, batch, rng, train=False, axis_name=axis_name
        )
        labels, valid = batch[self.target], batch.get("valid")
        metrics = {"accuracy": top_k(scores, labels, 1, valid)}
        return Aux(
            model_state, {**metrics, "confusion": Confusion.of(scores, labels, valid)}, scores
        )

    def predict(self, output: Float[Array, "b c"], batch: Batch) -> dict[str, Array]:
        """Return the scores and the label of each example."""
        return {"logits": output.astype(jnp.float32), self.target: batch[self.target]}

    def targets(self) -> tuple[str, ...]:
        """Return the key of the labels."""
        return (self.target,)

    @property
    def predicts_labels(self) -> bool:
        """Whether output i of the model is the class with label i."""
        return self.target == "label"

    def check(self, info: Any) -> None:
        """Refuse a model that cannot be fitted, and labels that do not fit its outputs."""
        if not hasattr(self.model, "fit"):
            raise UserError(
                "experiment 'fitted' needs a model with fit(inputs, labels), such as "
                "cnnlab.classical.pixel_classifiers:NearestNeighbor"
            )
        shape, dtype = info.spec.get(self.target, ((), "int32"))
        if shape != () or not np.issubdtype(np.dtype(dtype), np.integer):
            raise UserError(
                f"experiment 'fitted' needs one label an example, and '{self.target}' of "
                f"'{info.name}' has shape {shape} and type {dtype}"
            )
        check_outputs(info, self.model, self.target)

    def report(self, evaluation: Any, source: Any) -> dict[str, Any]:
        """Return the per-class accuracy."""
        return per_class_accuracy(evaluation, source)

    def draw(self, evaluation: Any, source: Any, folder: Path) -> None:
        """Draw the confusion matrix and the worst mistakes."""
        classification_figures.draw(evaluation, source, folder, self.target, jax.nn.softmax)
