"""The mean of a number an example, exact over padded and sharded batches."""

from typing import Any

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Bool, Shaped

from cnnlab.losses.reduce import expand
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
    def of(cls, values: Shaped[Array, "*b"], valid: Bool[Array, "..."] | None = None) -> "Mean":
        """Return the mean of `values` that are valid; the others are left out, NaN or not.

        `valid` has the leading axes of the values: [b] or all of them.
        """
        exact = not jnp.issubdtype(values.dtype, jnp.inexact)
        values = values.astype(jnp.int32 if exact else jnp.float32)
        if valid is None:
            return cls(jnp.sum(values), jnp.asarray(values.size, jnp.int32))
        valid = expand(valid, values)
        kept = jnp.where(valid, values, jnp.zeros((), values.dtype))
        return cls(jnp.sum(kept), jnp.sum(valid, dtype=jnp.int32))

    def compute(self) -> float:
        """Return the mean; NaN if there was nothing to average."""
        return float(ratio(self.total, self.count))
