"""Top-k accuracy and the confusion matrix, with one rule for what is predicted.

Equal logits rank in the order of their classes, as in `argmax` and `top_k`: a network whose
outputs have collapsed to one value then scores as chance, not as perfect. An example with a NaN
among its logits predicts nothing and is wrong.
"""

from typing import Any

import flax.struct
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from cnnlab.errors import UserError
from cnnlab.losses.reduce import expand
from cnnlab.metrics.metric import Mean, Metric, ratio


def top_k(
    logits: Float[Array, "*b c"],
    labels: Integer[Array, "*b"],
    k: int,
    valid: Bool[Array, "..."] | None = None,
) -> Mean:
    """Return the share of examples whose label is among the k largest logits.

    A label outside [0, c) is never among them; k of c or more includes all others.

    Raises:
        UserError: for k below 1.
    """
    if k < 1:
        raise UserError(f"top_k: k={k} must be at least 1")
    classes = jnp.arange(logits.shape[-1])
    labels = labels.astype(jnp.int32)[..., None]
    is_label = classes == labels
    own = jnp.sum(jnp.where(is_label, logits, 0), axis=-1, keepdims=True)
    ahead = (logits > own) | ((logits == own) & (classes < labels))
    ranked = jnp.any(is_label, axis=-1) & ~jnp.any(jnp.isnan(logits), axis=-1)
    return Mean.of(ranked & (jnp.sum(ahead, axis=-1) < k), valid)


@flax.struct.dataclass
class Confusion(Metric):
    """How often which class was taken for which.

    Attributes:
        counts: int32 [c, c]; rows are the true class, columns the predicted one.
        invalid: int32 [c]; examples of each true class that predicted nothing (NaN).
    """

    counts: Any
    invalid: Any

    @classmethod
    def of(
        cls,
        logits: Float[Array, "*b c"],
        labels: Integer[Array, "*b"],
        valid: Bool[Array, "..."] | None = None,
    ) -> "Confusion":
        """Count a batch, or every place of its label maps [b, h, w].

        Labels outside [0, c) have no row and are left out; so is what is not `valid`, which has the
        leading axes of the labels: [b] or all of them.
        """
        c = logits.shape[-1]
        labels = labels.astype(jnp.int32)
        kept = (labels >= 0) & (labels < c)
        if valid is not None:
            kept &= expand(valid, labels)
        nan = jnp.any(jnp.isnan(logits), axis=-1)
        row = jnp.where(kept, labels, c)  # Row c does not exist, and what goes there is dropped.
        # Predicting nothing is a class of its own here, after the others.
        column = jnp.where(nan, c, jnp.argmax(logits, axis=-1))
        counts = jnp.zeros((c, c + 1), jnp.int32).at[row, column].add(1, mode="drop")
        return cls(counts[:, :c], counts[:, c])

    def compute(self) -> np.ndarray:
        """Return the counts."""
        return np.asarray(self.counts)

    def accuracy(self) -> float:
        """Return the share of examples on the diagonal; NaN without examples."""
        counts = np.asarray(self.counts)
        return float(ratio(np.trace(counts), counts.sum() + np.sum(self.invalid)))

    def per_class_accuracy(self) -> np.ndarray:
        """Return the share of each true class that was recognised (its recall), float64 [c].

        NaN for a class without examples: `np.nanmean` averages the others.
        """
        counts = np.asarray(self.counts)
        return ratio(np.diagonal(counts), counts.sum(axis=1) + np.asarray(self.invalid))
