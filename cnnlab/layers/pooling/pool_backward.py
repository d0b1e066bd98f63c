"""Backward passes of max and average pooling.

Zeiler & Fergus 2014, section 2.1 (switches). With dy_i the gradient at window i:

    max:      dx_p = sum of dy_i over the windows i whose largest value is x_p
    average:  dx_p = sum of dy_i / k^2 over the windows i that read x_p

A value that several windows read sums the gradients of all of them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis, Windows, flatten
from cnnlab.layers.pooling.pool import value_counts
from cnnlab.layers.pooling.windows import windows_of


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
    """Return the gradient of `x` for the gradient `dy` of `max_pool`, routed to the winners.

    Of equal values the first in row-major order wins. Arguments and errors as for `max_pool`, and
    a `UserError` for a `dy` that has another shape than its result.
    """
    windows = windows_of(
        x, window, stride, padding, dilation=dilation, ceil_mode=ceil_mode, layer="max_pool"
    )
    _check(x, dy, windows, "max_pool_backward")
    axes = len(windows.size)
    padded, gradient = windows.fit(flatten(x, axes), -jnp.inf), flatten(dy, axes)
    values = {tap: windows.gather_tap(padded, tap) for tap in windows.tap_indices()}
    largest = jnp.stack(list(values.values())).max(0)
    routed, undecided = {}, jnp.ones(largest.shape, bool)
    for tap, value in values.items():
        wins = undecided & (value == largest)
        routed[tap] = jnp.where(wins, gradient, 0).astype(x.dtype)
        undecided = undecided & ~wins
    return windows.unfit(windows.scatter_taps(routed, padded.shape[1:-1])).reshape(x.shape)


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
    """Return the gradient of `x` for the gradient `dy` of `avg_pool`, shared evenly.

    Only the shape of `x` matters. Arguments and errors as for `avg_pool`, and a `UserError` for a
    `dy` that has another shape than its result.
    """
    windows = windows_of(x, window, stride, padding, ceil_mode=ceil_mode, layer="avg_pool")
    _check(x, dy, windows, "avg_pool_backward")
    axes = len(windows.size)
    share = flatten(dy, axes) / value_counts(windows, count_include_pad).astype(dy.dtype)
    return scatter_shares(share.astype(x.dtype), windows).reshape(x.shape)


def scatter_shares(share: Float[Array, "b *out c"], windows: Windows) -> Float[Array, "b *size c"]:
    """Return the sum over windows of `share` at each of their values."""
    size = [i + low + high for i, (low, high) in zip(windows.size, windows.exact_pads, strict=True)]
    total = jnp.zeros((share.shape[0], *size, share.shape[-1]), share.dtype)
    # Not `scatter_taps`: in one loop XLA would round a mean and the sum in one step.
    for tap in windows.tap_indices():
        total = total.at[(slice(None), *windows.tap_slices(tap))].add(share)
    return windows.unfit(total)


def _check(x, dy, windows: Windows, layer: str) -> None:
    expected = (*x.shape[: -1 - len(windows.size)], *windows.out, x.shape[-1])
    if dy.shape != expected:
        raise UserError(f"{layer}: dy {dy.shape} must have the shape of the result, {expected}")
