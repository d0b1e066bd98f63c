"""Backward pass of transposed convolution: gradients of kernel, input and bias.

Dumoulin & Visin 2016, chapter 4; the lecture's slide. The transposed convolution is the transpose
of a convolution's matrix, y = C^T x, so the gradient of x is that convolution: dx = C dy, the
kernel unflipped over dy in steps of s. Along one axis, with dy padded by p,

    dx[i, c]    = sum over u, o of dy[s i + d u, o] w[u, o, c]
    dw[u, o, c] = sum over n, i of dy[s i + d u, o] x[i, c]
    db[o]       = sum over n, a of dy[a, o]
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.layers.convolution.conv_backward import bias_gradient, check_incoming
from cnnlab.layers.convolution.padding import Padding, pad
from cnnlab.layers.convolution.transposed import check, swap_convention
from cnnlab.layers.convolution.transposed_windows import transposed_windows
from cnnlab.layers.convolution.windows import PerAxis


def conv_transpose_backward(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*window c_a c_b"],
    dy: Float[Array, "*batch_and_space_out c_out"],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    output_padding: int | Sequence[int] = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    convention: str = "adjoint",
) -> tuple[
    Float[Array, "*batch_and_space c_in"],
    Float[Array, "*window c_a c_b"],
    Float[Array, " c_out"],
]:
    """Return (dx, dkernel, dbias) of `conv_transpose` for incoming derivatives `dy`.

    Args:
        x: input of `conv_transpose`, [*batch, *spatial, c_in].
        kernel: its kernel, in the layout of `convention`.
        dy: derivatives of the loss with respect to its output.
        stride: as for `conv_transpose`, and so the others.
        padding: of the convolution whose adjoint it is.
        output_padding: values more at the end.
        dilation: distance of taps.
        groups: independent parts of the channels.
        convention: "adjoint" or "flax".

    Raises:
        UserError: as `conv_transpose`, and for a `dy` of another shape or dtype than its output.
    """
    axes = kernel.ndim - 2
    check(x, kernel, None, groups, convention)
    size, taps = x.shape[-1 - axes : -1], kernel.shape[:-2]
    over = transposed_windows(
        size,
        taps,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        convention=convention,
    )
    if convention == "flax":
        kernel = swap_convention(kernel, groups)
    c_out = kernel.shape[-2] * groups
    batch = x.shape[: -1 - axes]
    check_incoming(dy, x, (*batch, *over.size, c_out), "conv_transpose_backward")

    padded = pad(dy, over.pads)
    inputs = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    weights = kernel.reshape(*taps, c_out // groups, groups, x.shape[-1] // groups)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    dx, dkernel = jnp.zeros(inputs.shape, wide), []
    for tap in over.tap_indices():
        dys = over.gather_tap(padded, tap).reshape(*x.shape[:-1], groups, c_out // groups)
        dx += jnp.einsum("...go, ogc -> ...gc", dys, weights[tap], preferred_element_type=wide)
        dkernel.append(jnp.einsum("...go, ...gc -> ogc", dys, inputs, preferred_element_type=wide))
    dweights = jnp.stack(dkernel).reshape(kernel.shape).astype(x.dtype)
    if convention == "flax":
        dweights = swap_convention(dweights, groups)
    return dx.reshape(x.shape).astype(x.dtype), dweights, bias_gradient(dy)
