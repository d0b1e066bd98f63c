"""Backward pass of convolution: gradients of kernel, input and bias.

Goodfellow, Bengio & Courville 2016, section 9.5; Dumoulin & Visin 2016, section 4. Along one axis,
with x padded, window distance s, taps d apart, and dy the incoming derivative of every output,

    y[i] = b + sum over u of x[s i + d u] w[u]

gives three sums of the same products:

    dw[u] = sum over i of dy[i] x[s i + d u]                    w is shared: all windows add up
    dx[a] = sum over i, u with s i + d u = a of dy[i] w[u]      all windows that read x[a] add up
    db    = sum over i of dy[i]

The first two are convolutions again. In dw stride and dilation are exchanged (dy, dilated by s,
slides over x in steps of d), and dx is a *full* convolution: the flipped kernel over dy, with s - 1
zeros between its values. Channels: dw sums over the examples
where y sums over the channels, and dx over the filters.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import check, conv
from cnnlab.layers.convolution.padding import Padding, pad, unpad
from cnnlab.layers.convolution.windows import PerAxis, Windows, flatten, windows

# Of input, kernel and bias.
Gradients = tuple[
    Float[Array, "*batch_and_space c_in"],
    Float[Array, "*window c_of_group c_out"],
    Float[Array, " c_out"],
]


def conv_backward(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*window c_of_group c_out"],
    dy: Float[Array, "*batch_and_space_out c_out"],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Gradients:
    """Return (dx, dkernel, dbias) of `conv` for incoming derivatives `dy`.

    Args:
        x: input of `conv`, [*batch, *spatial, c_in].
        kernel: its kernel, [*window, c_in / groups, c_out].
        dy: derivatives of the loss with respect to its output.
        stride: as for `conv`, and so the others.
        padding: amounts or their name.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.
        groups: independent parts of the channels.

    Raises:
        UserError: as `conv`, and for a `dy` of another shape or dtype than its output.
    """
    axes = kernel.ndim - 2
    check(x, kernel, None, groups, "conv_backward")
    over = windows(
        x.shape[-1 - axes : -1],
        kernel.shape[:-2],
        stride=stride,
        padding=padding,
        dilation=dilation,
        layer="conv_backward",
    )
    check_incoming(dy, x, (*x.shape[: -1 - axes], *over.out, kernel.shape[-1]), "conv_backward")
    padded = pad(x, over.pads, padding_mode, "conv_backward")
    flat, dy = flatten(padded, axes), flatten(dy, axes)
    dflat = input_gradient(kernel, dy, flat.shape[1:-1], over, groups)
    dx = unpad(dflat.reshape(padded.shape), over.pads, padding_mode)
    return dx, kernel_gradient(flat, dy, over, groups), bias_gradient(dy)


def kernel_gradient(x, dy, over: Windows, groups: int):
    """Return dw[u, c, o], the sum over examples n and windows i of dy[n, i, o] x[n, s i + d u, c].

    `x` [n, *spatial, c] is padded already. Each group by itself.
    """
    of_group = partial(_kernel_gradient, over=over)
    dkernel = jax.vmap(of_group, in_axes=-2, out_axes=-2)(_split(x, groups), _split(dy, groups))
    return dkernel.reshape(*dkernel.shape[:-2], dy.shape[-1])


def _kernel_gradient(x, dy, over: Windows):
    examples_last = jnp.swapaxes(x, 0, -1)
    as_kernel = jnp.moveaxis(dy, 0, -2)
    dkernel = conv(
        examples_last, as_kernel, stride=over.dilation, dilation=over.stride, padding="VALID"
    )
    # Values at the end that no window reads would be further taps.
    for axis, taps in enumerate(over.taps, start=1):
        dkernel = lax.slice_in_dim(dkernel, 0, taps, axis=axis)
    return jnp.moveaxis(dkernel, 0, -2)


def input_gradient(kernel, dy, size, over: Windows, groups: int):
    """Return dx[n, a, c], the sum of dy[n, i, o] w[u, c, o] over o, i and u with s i + d u = a.

    `size` is that of the padded input.
    """
    last = tuple(k - 1 for k in over.taps)
    full = [i + k - 1 for i, k in zip(size, over.spans, strict=True)]
    stretched = over.scatter_taps({last: dy}, full)
    rotated = jnp.flip(kernel, range(len(last)))
    swapped = jnp.swapaxes(_split(rotated, groups), -1, -3)
    c_of_group, c_out = kernel.shape[-2:]
    swapped = swapped.reshape(*over.taps, c_out // groups, groups * c_of_group)
    return conv(stretched, swapped, dilation=over.dilation, padding="VALID", groups=groups)


def bias_gradient(dy):
    """Return db[o], the sum of dy[n, i, o] over examples and windows, added up in float32."""
    wide = dy.astype(jnp.promote_types(dy.dtype, jnp.float32))
    return jnp.sum(wide, axis=range(dy.ndim - 1)).astype(dy.dtype)


def check_incoming(dy, x, shape: tuple[int, ...], layer: str) -> None:
    """Raise a `UserError` if `dy` has not the shape and dtype of the output for `x`."""
    if dy.shape != shape:
        raise UserError(f"{layer}: dy {dy.shape} for x {x.shape}: the output is {shape}")
    if dy.dtype != x.dtype:
        raise UserError(f"{layer}: dy has dtype {dy.dtype} and x {x.dtype}: cast to one")


def _split(a, groups: int):
    """Return [..., c] as [..., groups, c / groups]."""
    return a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups)
