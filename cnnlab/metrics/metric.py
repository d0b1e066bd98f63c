"""What all metrics are: sums that add up over batches and devices, and a number at the end."""

from typing import Any, TypeVar

import jax
import numpy as np

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
