"""The backward passes of max and average pooling, written out.

Zeiler & Fergus 2014, section 2.1 (switches). With dy_i the gradient at window i:

    max:      dx_p = sum of dy_i over the windows i whose largest value is x_p
    average:  dx_p = sum of dy_i / k^2 over the windows i that see x_p

A place that several windows see adds up what it is given by each.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.windows import Padding, PerAxis
from cnnlab.layers.pooling.pool import divisor
from cnnlab.layers.pooling.windows import Windows, flat, windows_of


def max_pool_backward(
    x: Float[Array, "*batch_and_space c"],
    dy: Float[Array, "*batch_and_space_out c"],
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "VALID",
    *,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of `x` for the gradient `dy` of `max_pool`: routed to the winners.

    Of equal values the first in row-major order wins. Arguments and errors as for `max_pool`, and
    a `UserError` for a `dy` that has another shape than its result.
    """
    windows = windows_of(
        x, window, stride, padding, dilation=dilation, ceil_mode=ceil_mode, layer="max_pool"
    )
    _check(x, dy, windows, "max_pool_backward")
    axes = len(windows.size)
    values, gradient = windows.fit(flat(x, axes), -jnp.inf), flat(dy, axes)
    largest = jnp.stack([values[place] for place in windows.places()]).max(0)
    routed, undecided = jnp.zeros_like(values), jnp.ones(largest.shape, bool)
    for place in windows.places():
        wins = undecided & (values[place] == largest)
        routed = routed.at[place].add(jnp.where(wins, gradient, 0))
        undecided = undecided & ~wins
    return windows.inner(routed).reshape(x.shape)


def avg_pool_backward(
    x: Float[Array, "*batch_and_space c"],
    dy: Float[Array, "*batch_and_space_out c"],
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "VALID",
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "*batch_and_space c"]:
    """Return the gradient of `x` for the gradient `dy` of `avg_pool`: shared out evenly.

    Only the shape of `x` matters. Arguments and errors as for `avg_pool`, and a `UserError` for a
    `dy` that has another shape than its result.
    """
    windows = windows_of(x, window, stride, padding, ceil_mode=ceil_mode, layer="avg_pool")
    _check(x, dy, windows, "avg_pool_backward")
    axes = len(windows.size)
    share = flat(dy, axes) / divisor(windows, count_include_pad).astype(dy.dtype)
    spread = windows.fit(jnp.zeros_like(flat(x, axes)), 0)
    for place in windows.places():
        spread = spread.at[place].add(share)
    return windows.inner(spread).reshape(x.shape)


def _check(x, dy, windows: Windows, layer: str) -> None:
    expected = (*x.shape[: -1 - len(windows.size)], *windows.count, x.shape[-1])
    if dy.shape != expected:
        raise UserError(f"{layer}: dy {dy.shape} must have the shape of the result, {expected}")
