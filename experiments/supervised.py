"""Supervised learning with softmax, sigmoid or linear outputs and their losses.

| output activation | loss                      | the model's output parametrises        |
|-------------------|---------------------------|----------------------------------------|
| linear            | mean squared error        | a Gaussian of fixed variance           |
| sigmoid           | binary cross-entropy      | independent Bernoulli variables        |
| softmax           | negative log-likelihood   | a multinomial (categorical) variable   |

The lecture's table writes "multi-label" beside softmax; a softmax picks one class of many, so it
is multi-class, and it is the sigmoid row that serves several labels at once.

A fourth objective is older: `map`, with which LeNet-5 learned to reject what is no digit (LeCun et
al. 1998, equation 9), a softmax with one more class of fixed logit.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.losses.output_losses import OBJECTIVES
from cnnlab.losses.reduce import labeled, masked_mean
from cnnlab.metrics.classification import Confusion, top_k
from cnnlab.metrics.metric import Mean
from cnnlab.plots import classification_figures
from cnnlab.utils.describe import describe
from cnnlab.utils.registry import pick

from .base import Aux, Batch, Experiment

# Above this a matrix of class by class takes more than it shows: ImageNet-21k's has 1.9 GB.
CONFUSION_CLASSES = 4096
# An `ignore_label` that ignores nothing.
NOTHING = -1


def dense_target(
    batch: Batch, name: str, outputs: int, *, rank: int = 2, ignore: int = NOTHING
) -> Float[Array, "b *places c"]:
    """Return `batch[name]` as a row of `outputs` numbers an example, or a place of a label map.

    Integer labels, [b] or maps [b, h, w], become one-hot rows (NaN for a label that is no class,
    which must not train in silence); labels mixed by mixup or cutmix become their weighted sum.

    Args:
        batch: with the target, and what it is mixed with.
        name: key of the target.
        outputs: of the model, c.
        rank: of the model's output; real targets are flattened where it is 2.
        ignore: a label that becomes zeros, as 255 in maps; -1: none.
    """

    def dense(target):
        if jnp.issubdtype(target.dtype, jnp.integer):
            known = (target >= 0) & (target < outputs)
            one_hot = jnp.where(known[..., None], jax.nn.one_hot(target, outputs), jnp.nan)
            return one_hot if ignore < 0 else jnp.where((target == ignore)[..., None], 0.0, one_hot)
        target = target.astype(jnp.float32)
        if rank == 2:
            return target.reshape(target.shape[0], -1)
        return target if target.ndim == rank else target[..., None]

    target = dense(batch[name])
    if f"{name}_mixed" in batch:
        weight = batch[f"{name}_weight"].reshape(-1, *[1] * (target.ndim - 1))
        target = weight * target + (1 - weight) * dense(batch[f"{name}_mixed"])
    return target


def check_outputs(info: Any, model: Any, target: str) -> None:
    """Raise a `UserError` for a source with more classes than the model has outputs."""
    # Of a model without the field the shapes say it.
    classes, outputs = len(info.class_names), getattr(model, "num_classes", None)
    _, dtype = info.spec.get(target, ((), ""))
    labels = np.issubdtype(np.dtype(dtype or "O"), np.integer)
    if outputs is not None and labels and classes > outputs:
        raise UserError(
            f"'{info.name}' has {classes} classes, the model {outputs} outputs: "
            f"set --config.model.num_classes={classes}"
        )


def per_class_accuracy(evaluation: Any, source: Any) -> dict[str, Any]:
    """Return the accuracy of each class for `result.json`; {} without classes."""
    if "confusion" not in evaluation.metrics:
        return {}
    confusion = evaluation.metrics["confusion"]
    names = source.info.output_names(len(confusion.compute()))
    # A class without examples has no accuracy, and JSON no NaN.
    per_class = [None if np.isnan(a) else float(a) for a in confusion.per_class_accuracy()]
    return {"per_class_accuracy": dict(zip(names, per_class, strict=True))}


@dataclasses.dataclass(frozen=True)
class Supervised(Experiment):
    """Fit the output of the model to a target in the batch.

    Attributes:
        objective: `softmax`, `sigmoid`, `linear` or `map`, the output activation and its loss.
        target: key of the target: integer labels, multi-hot rows (`sigmoid`) or real vectors
            (`linear`); or a map of any of these, [b, h, w], for a model with an output a place.
        label_smoothing: mass moved from the true class to all classes alike (Szegedy et al.
            2016, section 7); training only, so that validation losses stay comparable.
        auxiliary_weight: of the losses of auxiliary classifiers, endpoints that start with
            "auxiliary", where a model has them in training (Szegedy et al. 2014, section 5).
        ignore_label: an integer label that counts nowhere, as 255 in label maps; -1: none.
    """

    objective: str = "softmax"
    target: str = "label"
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3
    ignore_label: int = NOTHING

    def __post_init__(self):
        """Check the hyper-parameters."""
        pick(OBJECTIVES, self.objective, "experiment.objective")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"experiment.label_smoothing={self.label_smoothing}: needs [0, 1)")
        if self.auxiliary_weight < 0:
            raise UserError(f"experiment.auxiliary_weight={self.auxiliary_weight}: needs 0 or more")
        if self.label_smoothing and self.objective != "softmax":
            raise UserError(
                f"experiment.label_smoothing needs objective='softmax', not '{self.objective}'"
            )

    def loss(
        self, params, model_state, batch, rng, *, train, axis_name
    ) -> tuple[Float[Array, ""], Aux]:
        """Return the mean loss over the batch; see `Experiment.loss`."""
        logits, endpoints, model_state = self.apply(
            params, model_state, batch, rng, train=train, axis_name=axis_name
        )
        if not hasattr(logits, "shape"):
            raise UserError(
                f"the model's output is {describe(logits)}, and supervised needs one array: return "
                "it, or (array, endpoints)"
            )
        valid = batch.get("valid")
        shape = {"rank": logits.ndim, "ignore": self.ignore_label}
        target = dense_target(batch, self.target, logits.shape[-1], **shape)
        if target.shape[:-1] != logits.shape[:-1]:
            raise UserError(
                f"the model gives outputs {logits.shape[1:]} an example, which '{self.target}' of "
                f"shape {batch[self.target].shape[1:]} does not fit: one label each for an output "
                "[classes], a map for an output [height, width, classes]; several labels an "
                "example are given as floats"
            )
        if target.shape != logits.shape:
            raise UserError(
                f"the model gives {logits.shape[-1]} outputs, '{self.target}' has "
                f"{target.shape[-1]} numbers: set --config.model.num_classes={target.shape[-1]}"
            )
        if self.ignore_label >= 0 and self._classifies(batch):
            valid = labeled(batch[self.target], self.ignore_label, valid)
        smoothing = {"label_smoothing": self.label_smoothing} if train else {}
        keywords = smoothing if self.objective == "softmax" else {}
        loss = partial(OBJECTIVES[self.objective].loss, target=target, **keywords)
        values = loss(logits)
        metrics: dict[str, Any] = {"loss": Mean.of(values, valid)}
        auxiliary = [loss(x) for name, x in endpoints.items() if name.startswith("auxiliary")]
        if train and auxiliary:
            extra = sum(auxiliary)
            metrics["auxiliary_loss"] = Mean.of(extra, valid)
            values = values + self.auxiliary_weight * extra
        metrics |= self._metrics(logits, batch, target, valid)
        if not train and self._classifies(batch) and logits.shape[-1] <= CONFUSION_CLASSES:
            metrics["confusion"] = Confusion.of(logits, batch[self.target], valid)
        output = None if train else logits
        return masked_mean(values, valid, axis_name), Aux(model_state, metrics, output)

    def predict(self, output: Float[Array, "b *places c"], batch: Batch) -> dict[str, Array]:
        """Return float32 logits and the target of each example; {} for label maps."""
        if output.ndim > 2:
            return {}
        return {"logits": output.astype(jnp.float32), self.target: batch[self.target]}

    def _classifies(self, batch: Batch) -> bool:
        return jnp.issubdtype(batch[self.target].dtype, jnp.integer)

    def _metrics(self, logits, batch, target, valid) -> dict[str, Mean]:
        if self._classifies(batch):
            labels = batch[self.target]
            metrics = {"accuracy": top_k(logits, labels, 1, valid)}
            if logits.shape[-1] > 5:
                metrics["top5"] = top_k(logits, labels, 5, valid)
            return metrics
        if self.objective == "sigmoid":
            right = (logits > 0) == (target > 0.5)
            return {
                "accuracy": Mean.of(jnp.mean(right.astype(jnp.float32), axis=-1), valid),
                "exact_match": Mean.of(jnp.all(right, axis=-1).astype(jnp.float32), valid),
            }
        return {"absolute_error": Mean.of(jnp.mean(jnp.abs(logits - target), axis=-1), valid)}

    def targets(self) -> tuple[str, ...]:
        """Return the key of the target."""
        return (self.target,)

    def mixed_targets(self) -> tuple[str, ...]:
        """Return the keys that `dense_target` mixes the target with."""
        return f"{self.target}_mixed", f"{self.target}_weight"

    @property
    def predicts_labels(self) -> bool:
        """Whether output i of the model is the class with label i."""
        return self.target == "label"

    def check(self, info: Any) -> None:
        """Refuse a data set whose labels do not fit the model's outputs."""
        check_outputs(info, self.model, self.target)

    def report(self, evaluation: Any, source: Any) -> dict[str, Any]:
        """Return the per-class accuracy."""
        return per_class_accuracy(evaluation, source)

    def draw(self, evaluation: Any, source: Any, folder: Path) -> None:
        """Draw the confusion matrix and the worst mistakes."""
        labels = evaluation.outputs.get(self.target)
        if "confusion" in evaluation.metrics or (
            labels is not None and np.issubdtype(labels.dtype, np.integer)
        ):
            activation = OBJECTIVES[self.objective].activation
            classification_figures.draw(evaluation, source, folder, self.target, activation)
