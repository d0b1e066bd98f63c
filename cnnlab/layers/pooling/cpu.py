"""Lowerings of pooling: XLA's window reduction, and on CPU sums or maxima of shifted arrays.

XLA's windows are slow on CPU, their gradient most of all (13 times the time of this lowering for
3x3/2). There, the forward pass takes the maximum of one strided slice for each tap. The tangent of
that is linear in the tangent t of x, and its transpose is the backward pass:

    dy_i = sum over p of [p is the winner of window i] t_p

With p = s a + r (a: row of blocks as large as the stride, r: place in the block) window i = a + e
reads, of all blocks a, the places r for which s a + r + low - s i = r + low - s e is a tap. So for
each of the few shifts e there is one term over all of x, viewed as blocks, [b, h/s, s, w/s, s, c],
and backward and forward mode are one loop each, in which nothing is scattered.
"""

import itertools
import math
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnlab.layers.convolution.padding import pad_constant
from cnnlab.layers.convolution.windows import Windows

# More taps make long programs, so these use XLA's own reduction.
MOST_TAPS = 64
# With so few shifts XLA's compiler vectorizes a loop that pads as it goes; with more only one
# that reads what was padded before.
FEW_SHIFTS = 4


def lowest(dtype):
    """Return the least value of this type."""
    if jnp.issubdtype(dtype, jnp.floating):
        return np.array(-np.inf, dtype)
    return np.array(jnp.iinfo(dtype).min, dtype)


def native(x, windows: Windows, start, operation):
    """Return XLA's reduction of the windows."""
    # The start value must be a concrete numpy scalar: only then does JAX detect a max or a sum,
    # which it can differentiate, instead of an arbitrary reduction.
    return lax.reduce_window(
        x,
        np.asarray(start, x.dtype),
        operation,
        (1, *windows.taps, 1),
        (1, *windows.stride, 1),
        ((0, 0), *((low, max(high, 0)) for low, high in windows.exact_pads), (0, 0)),
        window_dilation=(1, *windows.dilation, 1),
    )


def native_max(x, windows: Windows):
    """Return XLA's maxima; the gradient is select-and-scatter."""
    return native(x, windows, lowest(x.dtype), lax.max)


def native_sum(x, windows: Windows):
    """Return XLA's sums."""
    return native(x, windows, 0, lax.add)


def shifted(x, windows: Windows, fill, operation):
    """Return the reduction of the windows as one of strided slices, one for each tap."""
    x = windows.fit(x, fill)
    return reduce(operation, [windows.gather_tap(x, tap) for tap in windows.tap_indices()])


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def window_max(x, windows: Windows):
    """Return the maxima of the windows of x [b, *spatial, c]; one winner each gets the gradient."""
    if math.prod(windows.taps) > MOST_TAPS:
        return native_max(x, windows)
    return lax.platform_dependent(
        x,
        cpu=lambda x: shifted(x, windows, lowest(x.dtype), jnp.maximum),
        default=lambda x: native_max(x, windows),
    )


@window_max.defjvp
def _window_max_jvp(windows: Windows, primals, tangents):
    (x,), (t,) = primals, tangents
    y = window_max(x, windows)

    def own(x, y, t):
        return block_sum(t, windows, lax.stop_gradient(winners(x, y, windows)))

    def xla(x, y, t):
        return jax.jvp(lambda x: native_max(x, windows), (x,), (t,))[1]

    # XLA has no backward pass for dilated windows.
    if max(windows.dilation) > 1:
        return y, own(x, y, t)
    if math.prod(windows.taps) > MOST_TAPS:
        return y, xla(x, y, t)
    return y, lax.platform_dependent(x, y, t, cpu=own, default=xla)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def window_sum(x, windows: Windows):
    """Return the sums of the windows of x [b, *spatial, c]."""
    if math.prod(windows.taps) > MOST_TAPS:
        return native_sum(x, windows)
    return lax.platform_dependent(
        x,
        cpu=lambda x: shifted(x, windows, 0, lax.add),
        default=lambda x: native_sum(x, windows),
    )


@window_sum.defjvp
def _window_sum_jvp(windows: Windows, primals, tangents):
    (x,), (t,) = primals, tangents
    y = window_sum(x, windows)
    if math.prod(windows.taps) > MOST_TAPS:
        return y, native_sum(t, windows)
    return y, lax.platform_dependent(
        t,
        cpu=lambda t: block_sum(t, windows, None),
        default=lambda t: native_sum(t, windows),
    )


def base(windows: Windows) -> int:
    """Return a base in which the digits of two places in or near a window are never the same."""
    return max(windows.spans) + 2 * max(windows.stride)


def winners(x, y, windows: Windows):
    """Return where in its window the first largest value is: its digits in `base`, as one number.

    Where nothing equals the maximum, as with NaN, it is the last place, as XLA has it.
    """
    codes = [
        sum(
            u * d * base(windows) ** n
            for n, (u, d) in enumerate(zip(tap[::-1], windows.dilation[::-1], strict=True))
        )
        for tap in windows.tap_indices()
    ]
    # A square root without effect: XLA recomputes cheap operations at each place of the backward
    # pass that reads them, but not a root. It is exact.
    rooted = codes[-1] ** 2 < 2**24
    dtype = jnp.float32 if rooted else jnp.int32
    if rooted:
        codes = [code**2 for code in codes]
    x = windows.fit(x, lowest(x.dtype))
    first = jnp.full(y.shape, codes[-1], dtype)
    for tap, code in list(zip(windows.tap_indices(), codes, strict=True))[-2::-1]:
        first = jnp.where(windows.gather_tap(x, tap) == y, jnp.asarray(code, dtype), first)
    return lax.sqrt(first) if rooted else first


def block_sum(t, windows: Windows, code):
    """Return for each window the sum of `t` over its places: all, or those that `code` names.

    Args:
        t: [b, *size, c].
        windows: over the places of `t`.
        code: from `winners`, [b, *out, c], or None for all places.
    """
    blocks = [-(-i // s) for i, s in zip(windows.size, windows.stride, strict=True)]
    fill = [(0, m * s - i) for m, s, i in zip(blocks, windows.stride, windows.size, strict=True)]
    t = _extend(t, fill, 0)
    shape = [n for pair in zip(blocks, windows.stride, strict=True) for n in pair]
    t = t.reshape(t.shape[0], *shape, t.shape[-1])
    inner = tuple(range(2, t.ndim - 1, 2))

    every = _shifts(windows)
    shifts = list(itertools.product(*every))
    few = len(shifts) <= FEW_SHIFTS
    sides = list(zip(every, blocks, windows.out, strict=True))
    lows = [0 if few else max(0, -e[0]) for e, _, _ in sides]
    highs = [0 if few else max(0, m + e[-1] - o) for e, m, o in sides]
    ends = [low + o + high for low, o, high in zip(lows, windows.out, highs, strict=True)]
    if code is not None:
        code = _extend(code, zip(lows, highs, strict=True), -1)

    total = jnp.zeros((t.shape[0], *ends, t.shape[-1]), t.dtype)
    for shift in shifts:
        starts = [e + low for e, low in zip(shift, lows, strict=True)]
        beyond = [n - m - start for n, m, start in zip(ends, blocks, starts, strict=True)]
        keep = _named(windows, t.shape, shift, code)
        if code is not None:
            own = _extend(code, [(-a, -b) for a, b in zip(starts, beyond, strict=True)], -1)
            keep = keep == jnp.expand_dims(own, inner)
        part = jnp.where(keep, t, jnp.zeros((), t.dtype)).sum(inner, dtype=t.dtype)
        total += _extend(part, zip(starts, beyond, strict=True), 0)
    return _extend(total, [(-low, -high) for low, high in zip(lows, highs, strict=True)], 0)


def _extend(x, pads, fill):
    pads = list(pads)
    return pad_constant(x, pads, fill) if any(low or high for low, high in pads) else x


def _shifts(windows: Windows) -> list[list[int]]:
    """Return for each axis the shifts e for which some place r + low - s e is in the window."""
    return [
        [e for e in range(-k, k + 1) if any(0 <= r + low - s * e < k for r in range(s))]
        for k, s, (low, _) in zip(windows.spans, windows.stride, windows.pads, strict=True)
    ]


def _named(windows: Windows, shape, shift, code):
    """Return for [b, h/s, s, w/s, s, c] the places in their windows as `winners` writes them.

    Without `code`: whether they are in the window.
    """
    axes = len(shift)
    origin = [
        low - s * e for (low, _), s, e in zip(windows.pads, windows.stride, shift, strict=True)
    ]
    if code is None:
        inside: np.ndarray = np.ones((1,) * len(shape), bool)
        for n, (start, k, s) in enumerate(zip(origin, windows.spans, windows.stride, strict=True)):
            at = np.arange(s) + start
            inside = inside & np.expand_dims(
                (at >= 0) & (at < k), [d for d in range(len(shape)) if d != 2 + 2 * n]
            )
        return inside
    return sum(
        (lax.broadcasted_iota(code.dtype, shape, 2 + 2 * n) + start)
        * (base(windows) ** (axes - 1 - n))
        for n, start in enumerate(origin)
    )
