"""Metrics as sums that add up over batches and devices; the mean is one."""

from typing import Any, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Shaped

from cnnlab.losses.reduce import expand

T = TypeVar("T")


def merge(a: T, b: T) -> T:
    """Return the metric (or tree of metrics) of two parts of the data taken together."""
    return jax.tree.map(lambda x, y: x + y, a, b)


class Metric:
    """Base of the metrics, each a `flax.struct.dataclass` of sums.

    `+` merges batches and `jax.lax.psum` devices. Sums of counts are int32, exact to 2^31.
    """

    def __add__(self, other: Any) -> Any:
        return merge(self, other)

    def compute(self) -> Any:
        """Return the value on the host: a float or a numpy array."""
        raise NotImplementedError


def ratio(part: Any, whole: Any) -> Any:
    """Return part / whole in float64, NaN where the whole is 0: nothing was counted."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    empty = whole == 0
    return np.where(empty, np.nan, part / np.where(empty, 1, whole))


def mean(values: np.ndarray) -> float:
    """Return the mean of values on the host, NaN where there are none."""
    return float(values.mean()) if values.size else np.nan


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
