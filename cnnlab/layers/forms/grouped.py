"""Grouped convolution as one dense convolution for each block of groups.

XLA's own goes through a grouped convolution in plain loops, and through its gradients too. Groups
of few channels make thin products, so several share one, whose kernel is zero between them.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import lax

from cnnlab.layers.forms.setting import Form, Setting, native

# Channels of a block; more groups in it multiply by more zeros.
CHANNELS = 32


def pick(setting: Setting, choose: Callable[[Setting], Form | None]) -> Form | None:
    """Return a convolution for each block of groups, itself in the form that `choose` gives."""
    if setting.groups == 1:
        return None
    together = per_block(setting)
    blocks = setting.groups // together
    part = setting._replace(
        shape=(*setting.shape[:-1], setting.c_in // blocks),
        kernel=(*setting.window, setting.c_in // blocks, setting.c_out // blocks),
        groups=1,
    )
    form = choose(part) or partial(native, part)

    def convolve(x, kernel):
        # The transpose of a split is one concatenation; that of a slice would be a sum of arrays
        # as large as x.
        inputs = lax.split(x, (part.c_in,) * blocks, x.ndim - 1)
        kernels = block_kernels(kernel, setting.groups, together)
        return jnp.concatenate([form(*pair) for pair in zip(inputs, kernels, strict=True)], axis=-1)

    return convolve


def per_block(setting: Setting) -> int:
    """Return how many groups share a convolution: a divisor of their number."""
    most = max(1, CHANNELS * setting.groups // setting.c_in)
    return max(n for n in range(1, setting.groups + 1) if setting.groups % n == 0 and n <= most)


def block_kernels(kernel, groups: int, together: int) -> list:
    """Return the dense kernel of each block: [*window, n c_of_group, n filters], diagonal in n."""
    *window, depth, filters = kernel.shape
    wide = filters // groups
    blocks = lax.split(kernel, (wide * together,) * (groups // together), kernel.ndim - 1)
    if together == 1:
        return list(blocks)
    same = jnp.eye(together, dtype=bool)[:, None, :, None]
    shape = (*window, together * depth, together * wide)
    apart = [block.reshape(*window, 1, depth, together, wide) for block in blocks]
    return [jnp.where(same, block, 0).reshape(shape) for block in apart]
