"""Max and average pooling over the two image axes of NHWC arrays.

LeCun et al. 1998 (subsampling), Krizhevsky et al. 2012 (max). Output size along an axis:
floor((i + pad - window) / stride) + 1, rounded down; Caffe's rounding up is not here.
"""

import math
from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError

Pair = int | Sequence[int]
Padding = str | Sequence[Sequence[int]]


def max_pool(
    x: Float[Array, "*b h w c"], window: Pair, stride: Pair, padding: Padding = "VALID"
) -> Float[Array, "*b ho wo c"]:
    """Return the largest value of each window; padding never wins.

    The gradient goes to one value of each window, the first of its largest in row-major order.
    After a ReLU windows full of zeros are common, and there sharing it out would be another
    gradient. XLA's select-and-scatter and PyTorch choose the same one.

    Windows that tile the image (`stride` equal to `window`, no padding) take another form on CPU,
    where XLA's own gradient is many times slower: see `_tiled`. The choice is made when the
    program is lowered for a platform; values and gradients are the same bit for bit.
    Differentiable in reverse mode any number of times; forward mode (`jax.jvp`, `jax.jacfwd`)
    only where windows overlap.

    Args:
        x: images; any number of leading axes.
        window: height and width of a window, or one number for both.
        stride: steps between windows, likewise.
        padding: "VALID", "SAME", or ((top, bottom), (left, right)).

    Raises:
        UserError: a window or stride below 1, an unknown padding, or an image below the window.
    """
    geometry = _geometry(x, window, stride, padding)
    size, step, pads = geometry
    if size == step and pads == ((0, 0), (0, 0)):
        return _tiled(x, size)
    return _reduce(x, -np.inf, lax.max, geometry)


def avg_pool(
    x: Float[Array, "*b h w c"],
    window: Pair,
    stride: Pair,
    padding: Padding = "VALID",
    *,
    count_include_pad: bool = True,
) -> Float[Array, "*b ho wo c"]:
    """Return the mean of each window; arguments and errors as for `max_pool`.

    With `count_include_pad` zeros of the padding count as values (flax's and PyTorch's default);
    without it a window at the border is divided by the number of its true pixels.
    """
    geometry = _geometry(x, window, stride, padding)
    total = _reduce(x, 0, lax.add, geometry)
    if count_include_pad:
        return total / math.prod(geometry[0])
    ones = jnp.ones((1,) * (x.ndim - 3) + x.shape[-3:-1] + (1,), x.dtype)
    return total / _reduce(ones, 0, lax.add, geometry)


def _pair(value: Pair, name: str) -> tuple[int, int]:
    height, width = (value, value) if isinstance(value, int) else tuple(value)
    if min(height, width) < 1:
        raise UserError(f"pooling: {name}={value} must be at least 1")
    return height, width


def _geometry(x, window: Pair, stride: Pair, padding: Padding):
    """Return window, stride and explicit padding as pairs, or say which of them cannot be."""
    size, window, stride = x.shape[-3:-1], _pair(window, "window"), _pair(stride, "stride")
    if isinstance(padding, str):
        if padding not in ("VALID", "SAME"):
            raise UserError(f"pooling: padding='{padding}' is neither 'VALID' nor 'SAME'")
        pads = tuple(lax.padtype_to_pads(size, window, stride, padding))
    else:
        pads = tuple((int(low), int(high)) for low, high in padding)
    for axis, name in enumerate(("high", "wide")):
        if size[axis] + sum(pads[axis]) < window[axis]:
            raise UserError(
                f"pooling: the image is {size[axis]} {name}, padding {pads[axis]}, and the window "
                f"{window[axis]}: use a larger image or a smaller window"
            )
    return window, stride, pads


def _reduce(x, start, operation, geometry):
    # The start value must be a concrete numpy scalar: only then does JAX see a max or a sum,
    # which it can differentiate, instead of an arbitrary reduction.
    lead = x.ndim - 3
    window, stride, pads = geometry
    return lax.reduce_window(
        x,
        np.array(start, x.dtype),
        operation,
        (1,) * lead + window + (1,),
        (1,) * lead + stride + (1,),
        ((0, 0),) * lead + pads + ((0, 0),),
    )


def _taps(x, window):
    """Return the values at each place of the windows, row by row: window area x [*b, ho, wo, c]."""
    (kh, kw), (h, w) = window, x.shape[-3:-1]
    x = x[..., : h // kh * kh, : w // kw * kw, :]
    return [x[..., i::kh, j::kw, :] for i in range(kh) for j in range(kw)]


def _tiled_native(x, window):
    return _reduce(x, -np.inf, lax.max, (window, window, ((0, 0), (0, 0))))


def _tiled_forward(x, window):
    """Max-pooling of tiles: maxima of strided slices on CPU, XLA's own reduction elsewhere."""
    return lax.platform_dependent(
        x,
        cpu=lambda x: reduce(jnp.maximum, _taps(x, window)),
        default=lambda x: _tiled_native(x, window),
    )


def _tiled_backward_native(x, dy, window):
    return jax.vjp(lambda x: _tiled_native(x, window), x)[1](dy)[0]


def _tiled_backward_slices(x, dy, window):
    """Give each place of a window `dy` where it is the first maximum, and put the places together.

    A place wins if it is above all before it and not below any after it. Comparing with running
    maxima keeps this free of an index of the winner, whose data-dependent choice is slow on CPU.
    """
    (kh, kw), taps = window, _taps(x, window)
    parts = []
    for n, tap in enumerate(taps):
        wins = jnp.ones(tap.shape, bool)
        if n > 0:
            wins &= tap > reduce(jnp.maximum, taps[:n])
        if n + 1 < len(taps):
            wins &= tap >= reduce(jnp.maximum, taps[n + 1 :])
        parts.append(jnp.where(wins, dy, jnp.zeros((), dy.dtype)))
    *lead, ho, wo, c = dy.shape
    rows = [jnp.stack(parts[i * kw : (i + 1) * kw], axis=-2) for i in range(kh)]
    dx = jnp.stack(rows, axis=-4).reshape(*lead, ho * kh, wo * kw, c)
    # What does not fill a window at the bottom and right was never looked at.
    rest = [(0, 0, 0)] * len(lead)
    rest += [(0, full - part, 0) for full, part in zip(x.shape[-3:], dx.shape[-3:], strict=True)]
    return lax.pad(dx, jnp.zeros((), dx.dtype), rest)


def _tiled_backward(window, x, dy):
    return (
        lax.platform_dependent(
            x,
            dy,
            cpu=lambda x, dy: _tiled_backward_slices(x, dy, window),
            default=lambda x, dy: _tiled_backward_native(x, dy, window),
        ),
    )


_tiled = jax.custom_vjp(_tiled_forward, nondiff_argnums=(1,))
_tiled.defvjp(lambda x, window: (_tiled_forward(x, window), x), _tiled_backward)
