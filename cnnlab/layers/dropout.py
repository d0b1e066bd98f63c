"""Dropout: in training each value is set to zero with some probability.

Srivastava et al. 2014. Inverted: kept values are divided by the share that is kept, so that testing
needs no scaling (the paper multiplies the weights then, section 4). Of feature maps, whose
neighboring values are correlated, whole maps are dropped (Tompson et al. 2015).

For one key dropout is a linear map that scales each value on its own: its backward pass is itself,
dx = dropout(key, dy, rate).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError


def dropout(
    key: Array, x: Float[Array, "*shape"], rate: float, *, shared_axes: Sequence[int] = ()
) -> Float[Array, "*shape"]:
    """Return `x` with each value 0 with probability `rate`, else x / (1 - rate).

    Args:
        key: of the dropped values.
        x: of any shape.
        rate: probability of 0; at 1 all values are 0.
        shared_axes: values along these are dropped together; (1, 2) drops whole maps of images.

    Raises:
        UserError: for a rate outside [0, 1], or axes that `x` does not have.
    """
    if not 0 <= rate <= 1:
        raise UserError(f"dropout: rate={rate} must be between 0 and 1")
    if any(not -x.ndim <= a < x.ndim for a in shared_axes):
        raise UserError(f"dropout: shared_axes={tuple(shared_axes)} are not all axes of {x.shape}")
    if rate == 0:
        return x
    if rate == 1:
        return jnp.zeros_like(x)
    shared = {a % x.ndim for a in shared_axes}
    shape = [1 if a in shared else size for a, size in enumerate(x.shape)]
    stays = jax.random.bernoulli(key, 1 - rate, shape)
    return jnp.where(stays, x / (1 - rate), jnp.zeros((), x.dtype))


class Dropout(nn.Module):
    """Dropout with a key from the rng "dropout", which is needed in training alone.

    Attributes:
        rate: probability of 0.
        shared_axes: values along these are dropped together.
        train: whether to drop; here or in the call.
    """

    rate: float
    shared_axes: Sequence[int] = ()
    train: bool | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*shape"], train: bool | None = None
    ) -> Float[Array, "*shape"]:
        """Return `x` after dropout; errors as for `dropout`."""
        train = nn.merge_param("train", self.train, train)
        if not train or self.rate == 0:
            return x
        return dropout(self.make_rng("dropout"), x, self.rate, shared_axes=self.shared_axes)
