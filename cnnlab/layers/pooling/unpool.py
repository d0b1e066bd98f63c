"""Unpooling: by max-pooling switches, nearest neighbor, and bed of nails.

Zeiler & Fergus 2014, section 2.1 (by switches: each value returns to the place of the maximum of
its window); nearest neighbor (Odena et al. 2016; each value fills its block) and bed of nails
(Dosovitskiy et al. 2015; each value is alone at the top left of its block). Unpooling by switches
is the adjoint of reading at the switches, and so the backward pass of max pooling where windows do
not overlap. No parameters.
"""

import math
from collections.abc import Sequence
from functools import reduce

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real, Shaped

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis, flatten, per_axis
from cnnlab.layers.pooling.cpu import lowest
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.layers.pooling.windows import windows_of


def max_pool_with_switches(
    x: Real[Array, "*batch_and_space c"],
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "VALID",
    *,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> tuple[Real[Array, "*batch_and_space_out c"], Int[Array, "*batch_and_space_out c"]]:
    """Return `max_pool` and its switches: the place of each value in its feature map.

    A switch is the place in row-major order over the spatial axes, as PyTorch's indices do; of
    equal values the first, of several NaN the last, and never the padding. Arguments and errors
    as for `max_pool`.
    """
    y = max_pool(x, window, stride, padding, dilation=dilation, ceil_mode=ceil_mode)
    windows = windows_of(
        x, window, stride, padding, dilation=dilation, ceil_mode=ceil_mode, layer="max_pool"
    )
    padded = windows.fit(flatten(lax.stop_gradient(x), len(windows.size)), lowest(x.dtype))
    best = windows.gather_tap(padded, (0,) * len(windows.size))
    switches = jnp.full(best.shape, -1, jnp.int32)
    for tap in windows.tap_indices():
        value, (at, inside) = windows.gather_tap(padded, tap), windows.sources(tap)
        higher = (switches < 0) | (value > best) | (value != value)  # noqa: PLR0124
        wins = inside & higher
        best = jnp.where(wins, value, best)
        switches = jnp.where(wins, at, switches)
    return y, switches.reshape(y.shape)


def unpool(
    y: Float[Array, "*batch_and_space c"],
    switches: Int[Array, "*switches"],
    size: Sequence[int],
) -> Float[Array, "*batch_and_space_out c"]:
    """Return `y` with each value where its switch says, and zeros elsewhere.

    Where windows overlapped, several may name one place. It takes the value of the last of them in
    row-major order and the others have no gradient; PyTorch writes the same value on CPU, but
    hands the gradient to all of them.

    Args:
        y: pooled values [*batch, *spatial, c].
        switches: for each of them a place from 0 to the product of `size` minus 1.
        size: of the result along each spatial axis.

    Raises:
        UserError: for shapes that differ or a rank that does not fit.
    """
    if y.shape != switches.shape:
        raise UserError(f"unpool: y {y.shape} and switches {switches.shape} must have one shape")
    if not 0 < len(size) < y.ndim:
        raise UserError(f"unpool: y {y.shape} needs {len(size)} spatial axes for size={size}")
    place, kept = _places(switches, size)
    values = jnp.where(kept, y.reshape(kept.shape), jnp.zeros((), y.dtype))
    out = jnp.zeros((len(kept), math.prod(size), y.shape[-1]), y.dtype)
    out = out.at[place].add(values, mode="drop")
    return out.reshape(*y.shape[: -1 - len(size)], *size, y.shape[-1])


def unpool_backward(
    dout: Float[Array, "*batch_and_space_out c"],
    switches: Int[Array, "*batch_and_space c"],
    size: Sequence[int],
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of y for the gradient `dout` of `unpool`: read at the switches."""
    place, kept = _places(switches, size)
    read = dout.reshape(place[0].shape[0], math.prod(size), switches.shape[-1])[place]
    return jnp.where(kept, read, 0).reshape(switches.shape)


def nearest_unpool(
    y: Shaped[Array, "*batch_and_space c"], factor: PerAxis = 2
) -> Shaped[Array, "*batch_and_space_out c"]:
    """Return `y` with each value in all places of a block of `factor` along each axis.

    A single number is for two axes, a sequence has one for each.

    Raises:
        UserError: for a factor below 1, or a rank that does not fit.
    """
    blocks, fine = _blocks(y.shape, factor, "nearest_unpool")
    ones = [n for o in blocks for n in (o, 1)]
    both = [n for pair in zip(blocks, fine, strict=True) for n in pair]
    batch = y.shape[: -1 - len(blocks)]
    spread = jnp.broadcast_to(y.reshape(*batch, *ones, y.shape[-1]), (*batch, *both, y.shape[-1]))
    return spread.reshape(*batch, *_times(blocks, fine), y.shape[-1])


def nearest_unpool_backward(
    dout: Float[Array, "*batch_and_space_out c"], factor: PerAxis = 2
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of y for the gradient `dout` of `nearest_unpool`: sums of blocks."""
    return reduce(jnp.add, _corners(dout, factor, "nearest_unpool_backward"))


def bed_of_nails_unpool(
    y: Shaped[Array, "*batch_and_space c"], factor: PerAxis = 2
) -> Shaped[Array, "*batch_and_space_out c"]:
    """Return `y` with each value at the top left of a block of `factor` along each axis.

    Zeros elsewhere. Arguments and errors as for `nearest_unpool`.
    """
    blocks, fine = _blocks(y.shape, factor, "bed_of_nails_unpool")
    still = [(0, 0, 0)] * (y.ndim - 1 - len(blocks))
    config = [*still, *((0, f - 1, f - 1) for f in fine), (0, 0, 0)]
    return lax.pad(y, jnp.zeros((), y.dtype), config)


def bed_of_nails_unpool_backward(
    dout: Float[Array, "*batch_and_space_out c"], factor: PerAxis = 2
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of y for the gradient `dout` of `bed_of_nails_unpool`: top lefts."""
    return _corners(dout, factor, "bed_of_nails_unpool_backward")[0]


def _places(switches, size: Sequence[int]):
    """Return (batch, place, channel) of each pooled value, and whether it is the last there."""
    places = switches.reshape(
        -1, math.prod(switches.shape[-1 - len(size) : -1]), switches.shape[-1]
    )
    b, n, c = places.shape
    at = (jnp.arange(b)[:, None, None], places, jnp.arange(c))
    order = jnp.arange(n)[:, None]
    last = jnp.full((b, math.prod(size), c), -1).at[at].max(order, mode="drop")
    return at, last[at] == order


def _blocks(shape: Sequence[int], factor: PerAxis, layer: str):
    """Return the size of the spatial axes and the factor along each."""
    axes = 2 if isinstance(factor, int) else len(factor)
    if not 0 < axes < len(shape):
        raise UserError(f"{layer}: {tuple(shape)} needs {axes} spatial axes for factor={factor}")
    return shape[-1 - axes : -1], per_axis(factor, axes, "factor", layer)


def _times(blocks: Sequence[int], fine: Sequence[int]) -> list[int]:
    return [o * f for o, f in zip(blocks, fine, strict=True)]


def _corners(dout, factor: PerAxis, layer: str) -> list[Array]:
    """Return the values of all blocks at each of their places, in row-major order."""
    size, fine = _blocks(dout.shape, factor, layer)
    if any(i % f for i, f in zip(size, fine, strict=True)):
        raise UserError(f"{layer}: dout {dout.shape} is not made of blocks of {fine}")
    return [
        dout[(..., *(slice(u, None, f) for u, f in zip(tap, fine, strict=True)), slice(None))]
        for tap in np.ndindex(*fine)
    ]


class Unpool(nn.Module):
    """`unpool` to feature maps of `size` as a module, without parameters."""

    size: Sequence[int]

    def __call__(
        self, y: Float[Array, "*batch_and_space c"], switches: Int[Array, "*batch_and_space c"]
    ) -> Float[Array, "*batch_and_space_out c"]:
        """Return `y` with each value where its switch says."""
        return unpool(y, switches, self.size)


class NearestUnpool(nn.Module):
    """`nearest_unpool` as a module, without parameters."""

    factor: PerAxis = 2

    def __call__(
        self, y: Shaped[Array, "*batch_and_space c"]
    ) -> Shaped[Array, "*batch_and_space_out c"]:
        """Return `y` with each value in all places of its block."""
        return nearest_unpool(y, self.factor)


class BedOfNails(nn.Module):
    """`bed_of_nails_unpool` as a module, without parameters."""

    factor: PerAxis = 2

    def __call__(
        self, y: Shaped[Array, "*batch_and_space c"]
    ) -> Shaped[Array, "*batch_and_space_out c"]:
        """Return `y` with each value at the top left of its block."""
        return bed_of_nails_unpool(y, self.factor)
