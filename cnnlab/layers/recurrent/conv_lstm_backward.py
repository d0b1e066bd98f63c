"""Backward pass of the convolutional LSTM through time.

Of Shi et al. 2015, equation 3 (`conv_lstm.py`), with i, f, o the gates after their sigmoid,
g = tanh(...) the candidate for the cell, and da_i, ... the gradients by what the

    dH   = dH + dY_t
    da_o = dH o tanh(C_t) o o (1 - o)
    dC   = dC + dH o o o (1 - tanh(C_t)^2) + Wco o da_o
    da_i = dC o g o i (1 - i)
    da_f = dC o C_{t-1} o f (1 - f)
    da_g = dC o i o (1 - g^2)

The gradient of a convolution is a convolution with the rotated kernel, that of a peephole a product
with the same peephole:

    dH_{t-1} = da * rotated Wh,    dX_t = da * rotated Wx
    dC_{t-1} = dC o f + Wci o da_i + Wcf o da_f

All times share the weights, so theirs are sums over times: dWh of H_{t-1} under da, dWx of X_t
under da, dWci of da_i o C_{t-1}, dWcf of da_f o C_{t-1}, dWco of da_o o C_t, and db of da.
"""

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import correlate
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients
from cnnlab.layers.convolution.padding import Pads, pads_of

Images = Float[Array, "time batch h w features"]
Image = Float[Array, "batch h w features"]


class Trace(NamedTuple):
    """Intermediate values of a forward pass; arrays are [time, batch, h, w, features].

    Attributes:
        hs: H_t.
        cells: C_t.
        gates: i_t, f_t, g_t and o_t, after their nonlinearities.
    """

    hs: Images
    cells: Images
    gates: tuple[Images, Images, Images, Images]


class Gradients(NamedTuple):
    """Gradients of the loss, shaped as what they belong to; `peepholes` is None without.

    Attributes:
        x: by the images.
        kernel_x: by the kernel from image to gates.
        kernel_h: by the kernel from H to gates.
        bias: by that of the gates.
        peepholes: by Wci, Wcf and Wco.
        state: by the first (H, C).
    """

    x: Float[Array, "time batch h w c"]
    kernel_x: Float[Array, "kx lx c gates"]
    kernel_h: Float[Array, "kh lh features gates"]
    bias: Float[Array, " gates"]
    peepholes: Float[Array, "3 ..."] | None
    state: tuple[Image, Image]


def conv_lstm_backward(
    x: Float[Array, "time batch h w c"],
    kernel_x: Float[Array, "kx lx c gates"],
    kernel_h: Float[Array, "kh lh features gates"],
    trace: Trace,
    dhs: Images,
    dlast: tuple[Image, Image],
    *,
    state: tuple[Image, Image],
    peepholes: Float[Array, "3 ..."] | None = None,
    unroll: int = 1,
) -> Gradients:
    """Return the gradients of `conv_lstm`. Time is the first axis here.

    Sums over times are added up in at least float32.

    Args:
        x: the images.
        kernel_x: from image to gates.
        kernel_h: from H to gates.
        trace: of the forward pass (`conv_lstm_forward`).
        dhs: gradients of the loss by H of each time.
        dlast: by the last (H, C), apart from `dhs`.
        state: (H, C) at first.
        peepholes: Wci, Wcf and Wco; None is without.
        unroll: see `conv_lstm`.

    Raises:
        UserError: for shapes or dtypes that do not fit.
    """
    arrays = {"x": x, "kernel_x": kernel_x, "kernel_h": kernel_h, "peepholes": peepholes}
    check(arrays, state, x.shape[1:-1])
    check(arrays, dlast, x.shape[1:-1])
    images = (*x.shape[:-1], kernel_h.shape[-2])
    for name, array in {"dhs": dhs, "hs": trace.hs, "cells": trace.cells}.items():
        if array.shape != images:
            raise UserError(f"conv_lstm_backward: {name} {array.shape} must be {images}")
    pads_x, pads_h = pads(kernel_x), pads(kernel_h)
    before = [
        jnp.concatenate([first[None], later])[:-1]
        for first, later in zip(state, (trace.hs, trace.cells), strict=True)
    ]
    zeros = partial(jnp.zeros, dtype=jnp.promote_types(x.dtype, jnp.float32))
    shared = (
        zeros(kernel_x.shape),
        zeros(kernel_h.shape),
        zeros(kernel_x.shape[-1:]),
        None if peepholes is None else zeros(peepholes.shape),
    )

    # The weights' sums are made in the same loop, while da is in the cache. One product after it
    # for all times would be longer, but da of all times would have to be kept, which costs more.
    def step(carry, now):
        (dh, dc), (dkernel_x, dkernel_h, dbias, dpeepholes) = carry
        x, (h_before, c_before), c, (i, f, g, o), dy = now
        dh += dy
        tanh_c = jnp.tanh(c)
        da_o = dh * tanh_c * o * (1 - o)
        dc += dh * o * (1 - tanh_c * tanh_c)
        if peepholes is not None:
            dc += peepholes[2] * da_o
        da_i, da_f, da_g = dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g * g)
        da = jnp.concatenate([da_i, da_f, da_g, da_o], axis=-1)
        dc *= f
        if peepholes is not None:
            dc += peepholes[0] * da_i + peepholes[1] * da_f
            products = jnp.stack([da_i * c_before, da_f * c_before, da_o * c])
            dpeepholes += _sum_to(dpeepholes, products)
        dkernel_x += kernel_gradient(x, da, kernel_x.shape[:2], pads_x)
        dkernel_h += kernel_gradient(h_before, da, kernel_h.shape[:2], pads_h)
        dbias += jnp.sum(da.astype(dbias.dtype), axis=(0, 1, 2))
        dx = convolve(da, rotated(kernel_x), _mirrored(pads_x))
        dh = convolve(da, rotated(kernel_h), _mirrored(pads_h))
        return ((dh, dc), (dkernel_x, dkernel_h, dbias, dpeepholes)), dx

    steps = (x, before, trace.cells, trace.gates, dhs)
    (dstate, sums), dx = lax.scan(step, (dlast, shared), steps, reverse=True, unroll=unroll)
    dkernel_x, dkernel_h, dbias, dpeepholes = jax.tree.map(lambda a: a.astype(x.dtype), sums)
    return Gradients(dx, dkernel_x, dkernel_h, dbias, dpeepholes, dstate)


def check(arrays: dict[str, Any], state: Any, places: Sequence[int]) -> None:
    """Raise a `UserError` for arrays that do not fit; `places` is [*batch, h, w]."""
    features = arrays["kernel_h"].shape[-2]
    for name in ("kernel_x", "kernel_h"):
        shape = arrays[name].shape
        if shape[-1] != 4 * features:
            raise UserError(
                f"conv_lstm: {name} {shape} must end with 4 gates x {features} features"
            )
    if state is not None and any(s.shape != (*places, features) for s in state):
        shapes = [s.shape for s in state]
        raise UserError(f"conv_lstm: state {shapes} must be two of {(*places, features)}")
    peepholes, full = arrays["peepholes"], (3, *places[-2:], features)
    if peepholes is not None and (
        peepholes.ndim != 4
        or len(peepholes) != 3
        or any(n not in (1, m) for n, m in zip(peepholes.shape, full, strict=True))
    ):
        raise UserError(f"conv_lstm: peepholes {peepholes.shape} must be {full}, or 1 where shared")
    given = [a for a in (*arrays.values(), *(state or ())) if a is not None]
    dtypes = {str(a.dtype) for a in given}
    if len(dtypes) > 1:
        raise UserError(f"conv_lstm: arrays have dtypes {sorted(dtypes)}: cast to one")


def _sum_to(shared, products):
    """Return [3, batch, h, w, features] summed over the batch and over what shares a peephole."""
    total = jnp.sum(products.astype(shared.dtype), axis=1)
    axes = [axis for axis, n in enumerate(shared.shape) if n < total.shape[axis]]
    return jnp.sum(total, axis=axes, keepdims=True)


def pads(kernel: Any) -> Pads:
    """Return the zeros around an image for which a kernel keeps its size."""
    window = kernel.shape[:2]
    return pads_of("SAME", window, window, (1, 1), (1, 1), "conv_lstm")


def rotated(kernel: Any) -> Any:
    """Return the kernel of the input gradient: rotated by 180 degrees, from filters to channels."""
    return jnp.swapaxes(kernel[::-1, ::-1], 2, 3)


def _mirrored(pads):
    return tuple(pad[::-1] for pad in pads)


def kernel_gradient(x: Any, dy: Any, window: tuple[int, ...], pads: Pads) -> Any:
    """Return the sums of x under dy for each place of the window: one product for all of them."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    over = dy.reshape(prod(dy.shape[:-1]), dy.shape[-1])
    dkernel = lax.dot(_rows(x, window, pads), over, preferred_element_type=wide)
    return dkernel.reshape(*window, x.shape[-1], dy.shape[-1])


def _rows(x, window, pads):
    """Return im2col with a row for each channel and tap, over all places of x.

    With the channels first, neither the product that is the gradient of the kernel nor its
    operands are transposed.
    """
    b, h, w, c = x.shape
    padded = jnp.pad(jnp.moveaxis(x, -1, 0), ((0, 0), (0, 0), *pads))
    taps = [
        padded[:, :, u : u + h, v : v + w].reshape(c, b * h * w)
        for u in range(window[0])
        for v in range(window[1])
    ]
    return jnp.concatenate(taps)


def convolve(x: Any, kernel: Any, pads: Pads) -> Any:
    """Return the convolution of x [b, h, w, c] with zeros around it.

    In a loop XLA's gradient of the kernel is some ten times slower on CPU than this one.
    """

    def native(x, kernel):
        return correlate(x, kernel, (1, 1), pads, (1, 1), 1)

    def product(x, kernel):
        rows = _rows(x, kernel.shape[:2], pads)
        y = lax.dot_general(rows, kernel.reshape(len(rows), -1), (((0,), (0,)), ((), ())))
        return y.reshape(*x.shape[:-1], kernel.shape[-1])

    fast = with_gradients(native, kernel=product)
    return lax.platform_dependent(x, kernel, cpu=fast, default=native)
