"""Sums over a split: how many objects its targets have, and how many were lost on the way."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Shaped

from cnnlab.losses.reduce import expand
from cnnlab.metrics.metric import Metric


@flax.struct.dataclass
class Total(Metric):
    """A sum, int32 over counts and booleans, else float32.

    Attributes:
        total: the sum.
    """

    total: Any

    @classmethod
    def of(cls, values: Shaped[Array, "*b"], valid: Bool[Array, "..."] | None = None) -> "Total":
        """Return the sum of `values`, without those that are not valid."""
        exact = not jnp.issubdtype(values.dtype, jnp.inexact)
        values = values.astype(jnp.int32 if exact else jnp.float32)
        return cls(
            jnp.sum(values if valid is None else jnp.where(expand(valid, values), values, 0))
        )

    def compute(self) -> float:
        """Return the sum."""
        return float(self.total)


def object_counts(batch: Mapping[str, Any]) -> dict[str, Total]:
    """Return how many objects a batch has, and how many were dropped and cut off on the way.

    `objects` counts the rows that are objects (`objects_valid`), `objects_dropped` those that left
    the image or were seen too little, `objects_cut` those that `pad_objects` had no room for.
    Rows that only pad the batch count nowhere; empty for a batch without `objects_valid`.
    """
    if "objects_valid" not in batch:
        return {}
    counts = {"objects": batch["objects_valid"]}
    counts |= {k: batch[k] for k in ("objects_dropped", "objects_cut") if k in batch}

    def per_row(values: Array) -> Array:
        return values.reshape(len(values), -1).sum(1)

    return {name: Total.of(per_row(x), batch.get("valid")) for name, x in counts.items()}
