"""Checks that labels are outputs of the model, before the first step or where a loss is NaN."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree, Shaped

from cnnlab.errors import UserError


@dataclasses.dataclass(frozen=True)
class LabelCheck:
    """The labels of an objective whose output i is the class with label i.

    Attributes:
        experiment: the objective; of one that does not predict labels nothing is checked.
        variables: shapes of `(params, model_state)`.
        batch: shapes of a prepared batch.
    """

    experiment: Any
    variables: tuple[PyTree, PyTree]
    batch: Mapping[str, Any]

    def check(self, splits: Mapping[str, Any]) -> None:
        """Raise a `UserError` for labels that are no outputs, as far as is known undecoded."""
        for name, data in splits.items():
            if wrong := self.wrong(data.integers()):
                raise UserError(f"'{name}' has {wrong}")

    def wrong(self, batch: Mapping[str, Any]) -> str:
        """Return in words the first label of a batch that is no output; "" without one."""
        labels = batch.get(getattr(self.experiment, "target", "label"))
        if labels is None or not len(labels) or not self.experiment.predicts_labels:
            return ""
        rows = np.asarray(batch.get("valid", np.ones(len(labels), bool)))
        number = self._first(np.asarray(labels)[rows])
        if number is None:
            return ""
        settable = number >= 0 and hasattr(self.experiment.model, "num_classes")
        hint = f": set --config.model.num_classes={number + 1}" if settable else ""
        return f"label {number}, and the model {self._outputs} outputs, from 0{hint}"

    def _first(self, labels: Shaped[np.ndarray, "*n"]) -> int | None:
        declared = getattr(self.experiment.model, "num_classes", None) or 0
        if not np.issubdtype(labels.dtype, np.integer) or not labels.size:
            return None
        if labels.min() >= 0 and labels.max() < declared:
            return None
        wrong = (labels < 0) | (labels >= self._outputs)
        if (ignored := getattr(self.experiment, "ignore_label", -1)) >= 0:
            wrong &= labels != ignored
        return int(labels[wrong].flat[0]) if wrong.any() else None

    @functools.cached_property
    def _outputs(self) -> int:
        if declared := getattr(self.experiment.model, "num_classes", None):
            return declared

        def output(params: PyTree, model_state: PyTree, batch: Any) -> Any:
            key = jax.random.key(0)
            apply = self.experiment.apply
            return apply(params, model_state, batch, key, train=False, axis_name=None)[0]

        return jax.eval_shape(output, *self.variables, self.batch).shape[-1]
