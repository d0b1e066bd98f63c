"""Channel shuffle: exchange of channels between the groups of grouped convolutions.

Zhang et al. 2018 (ShuffleNet), section 3.1. A grouped convolution itself is `conv` with `groups`:
its output group g reads only the input channels [g C / G, (g + 1) C / G), for 1 / G of the weights.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from cnnlab.errors import UserError


def channel_shuffle(x: Shaped[Array, "*any c"], groups: int) -> Shaped[Array, "*any c"]:
    """Return the channels shuffled: each new group has one channel of every old group.

    The channels, as a matrix with a row for each group, are transposed. With c channels,
    `channel_shuffle(x, c // groups)` is the inverse.

    Args:
        x: any axes, channels last.
        groups: of channels before.

    Raises:
        UserError: if `groups` does not divide the channels.
    """
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        raise UserError(f"channel_shuffle: groups={groups} must divide {channels} channels")
    rows = x.reshape(*x.shape[:-1], groups, channels // groups)
    return jnp.swapaxes(rows, -1, -2).reshape(x.shape)


class ChannelShuffle(nn.Module):
    """`channel_shuffle` as a layer without parameters.

    Attributes:
        groups: of channels before.
    """

    groups: int

    @nn.compact
    def __call__(self, x: Shaped[Array, "*any c"]) -> Shaped[Array, "*any c"]:
        """Return `x` with its channels shuffled."""
        return channel_shuffle(x, self.groups)
