"""The mean of a number an example, exact over padded and sharded batches."""

from typing import Any

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Shaped

from cnnlab.metrics.metric import Metric, ratio


@flax.struct.dataclass
class Mean(Metric):
    """A mean as its two sums.

    Attributes:
        total: sum of the values; int32 for booleans and integers, else float32.
        count: how many there were, int32.
    """

    total: Any
    count: Any

    @classmethod
    def of(cls, values: Shaped[Array, "*b"], mask: Bool[Array, "*b"] | None = None) -> "Mean":
        """Return the mean of `values`; those where the mask is False are left out, NaN or not."""
        exact = not jnp.issubdtype(values.dtype, jnp.inexact)
        values = values.astype(jnp.int32 if exact else jnp.float32)
        if mask is None:
            return cls(jnp.sum(values), jnp.asarray(values.size, jnp.int32))
        kept = jnp.where(mask, values, jnp.zeros((), values.dtype))
        return cls(jnp.sum(kept), jnp.sum(mask, dtype=jnp.int32))

    def compute(self) -> float:
        """Return the mean; NaN if there was nothing to average."""
        return float(ratio(self.total, self.count))
