"""Locally connected layer: a convolution without weight sharing between places.

LeCun 1989 (local connections without sharing); Taigman et al. 2014 (DeepFace), section 2.2.

    y[n, i, j, o] = b[i, j, o] + sum over u, v, c of x[n, s i + d u - p, ...] w[i, j, u, v, c, o]

Parameters: h_out w_out (k^2 c_in + 1) c_out; what sharing saves is the factor h_out w_out.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv_backward import check_incoming
from cnnlab.layers.convolution.padding import Padding, pad, unpad
from cnnlab.layers.convolution.windows import PerAxis, Windows, window_of, windows
from cnnlab.layers.initializers import zeros


def local_conv(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*out_and_window c_kernel c_out"],
    bias: Float[Array, "*out_and_c_out"] | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    dilation: PerAxis = 1,
) -> Float[Array, "*batch_and_space_out c_out"]:
    """Return the convolution of channels-last `x` with a kernel for each place of the output.

    Args:
        x: [*batch, *spatial, c_in].
        kernel: [*out, *window, c_in, c_out], over as many axes as half of those before c_in.
        bias: [*out, c_out], one number for each place and filter.
        stride: as for `conv`, and so the others.
        padding: amounts or their name; zeros.
        dilation: distance of taps.

    Raises:
        UserError: as `conv`, and for a kernel or bias for another size of output.
    """
    over = _check(x, kernel, "local_conv", stride=stride, padding=padding, dilation=dilation)
    if bias is not None and bias.shape != (*over.out, kernel.shape[-1]):
        raise UserError(
            f"local_conv: bias {bias.shape} must be [*out, c_out], here "
            f"{(*over.out, kernel.shape[-1])}"
        )
    patches, weights, batch = _matrices(x, kernel, over)
    y = jnp.einsum("nip, ipo -> nio", patches, weights)
    y = y.reshape(*batch, *over.out, kernel.shape[-1])
    return y if bias is None else y + bias


def local_conv_backward(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*out_and_window c_kernel c_out"],
    dy: Float[Array, "*batch_and_space_out c_out"],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    dilation: PerAxis = 1,
) -> tuple[
    Float[Array, "*batch_and_space c_in"],
    Float[Array, "*out_and_window c_kernel c_out"],
    Float[Array, "*out_and_c_out"],
]:
    """Return (dx, dkernel, dbias) of `local_conv` for incoming derivatives `dy`.

    Each place i is a fully connected layer from its patch P[i]: dP[n, i] = w[i] dy[n, i], and
    patches that overlap add up in dx. No place shares weights with another, so unlike in a
    convolution only the examples are summed: dw[i] = sum over n of P[n, i] dy[n, i], and db[i]
    likewise.

    Raises:
        UserError: as `local_conv`, and for a `dy` of another shape or dtype than its output.
    """
    over = _check(
        x, kernel, "local_conv_backward", stride=stride, padding=padding, dilation=dilation
    )
    patches, weights, batch = _matrices(x, kernel, over)
    check_incoming(dy, x, (*batch, *over.out, kernel.shape[-1]), "local_conv_backward")
    wide = jnp.promote_types(x.dtype, jnp.float32)
    flat = dy.reshape(patches.shape[0], math.prod(over.out), kernel.shape[-1])
    dkernel = jnp.einsum("nip, nio -> ipo", patches, flat, preferred_element_type=wide)
    dpatches = jnp.einsum("nio, ipo -> nip", flat, weights, preferred_element_type=wide)
    dbias = jnp.sum(flat, axis=0, dtype=wide)

    by_tap = dpatches.reshape(*batch, *over.out, math.prod(over.taps), x.shape[-1])
    parts = {tap: by_tap[..., n, :] for n, tap in enumerate(over.tap_indices())}
    size = x.shape[len(batch) : -1]
    padded = tuple(i + low + high for i, (low, high) in zip(size, over.pads, strict=True))
    dx = unpad(over.scatter_taps(parts, padded), over.pads)
    return (
        dx.astype(x.dtype),
        dkernel.reshape(kernel.shape).astype(x.dtype),
        dbias.reshape(*over.out, kernel.shape[-1]).astype(x.dtype),
    )


def _check(x, kernel, layer: str, *, stride, padding, dilation) -> Windows:
    """Return the windows, with all arguments checked."""
    axes = (kernel.ndim - 2) // 2
    if axes < 1 or kernel.ndim % 2:
        raise UserError(f"{layer}: kernel {kernel.shape} must be [*out, *window, c_in, c_out]")
    if x.ndim < axes + 1 or x.shape[-1] != kernel.shape[-2]:
        raise UserError(
            f"{layer}: x {x.shape} needs {axes} spatial axes and {kernel.shape[-2]} channels for "
            f"kernel {kernel.shape} [*out, *window, c_in, c_out]"
        )
    if x.dtype != kernel.dtype:
        raise UserError(f"{layer}: x has dtype {x.dtype} and kernel {kernel.dtype}: cast to one")
    over = windows(
        x.shape[-1 - axes : -1],
        kernel.shape[axes:-2],
        stride=stride,
        padding=padding,
        dilation=dilation,
        layer=layer,
    )
    if over.out != kernel.shape[:axes]:
        raise UserError(
            f"{layer}: kernel {kernel.shape} is for outputs of {kernel.shape[:axes]}, x {x.shape} "
            f"gives {over.out}: a locally connected layer takes one size of input"
        )
    return over


def _matrices(x, kernel, over: Windows):
    """Return patches [n, places, k^2 c_in], kernels [places, k^2 c_in, c_out], and batch axes."""
    batch = x.shape[: -1 - len(over.out)]
    padded = pad(x, over.pads)
    values = [over.gather_tap(padded, tap) for tap in over.tap_indices()]
    places, inputs = math.prod(over.out), math.prod(over.taps) * x.shape[-1]
    patches = jnp.stack(values, axis=-2).reshape(math.prod(batch), places, inputs)
    return patches, kernel.reshape(places, inputs, kernel.shape[-1]), batch


class LocallyConnected(nn.Module):
    """Locally connected layer; `kernel` [*out, *window, c_in, features], `bias` [*out, features].

    Its parameters belong to one size of input.

    Attributes:
        features: filters at each place.
        kernel_size: taps along each axis; their count says over how many axes.
        stride: steps between windows.
        padding: "SAME", "VALID", "CAUSAL", numbers or pairs.
        dilation: distance of taps.
        use_bias: one bias for each place and filter.
        kernel_init: initial weights, called with the shape of all; None is He et al. 2015 for
            each place, with a fan-in of k^n c_in.
        bias_init: initial bias.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    kernel_size: Sequence[int]
    stride: PerAxis = 1
    padding: Padding = "SAME"
    dilation: PerAxis = 1
    use_bias: bool = True
    kernel_init: Callable[..., Array] | None = None
    bias_init: Callable[..., Array] = zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch_and_space c_in"]
    ) -> Float[Array, "*batch_and_space_out features"]:
        """Return the feature maps; errors as for `conv`."""
        window = window_of(self.kernel_size, "LocallyConnected")
        axes = len(window)
        where: dict[str, Any] = dict(
            stride=self.stride, padding=self.padding, dilation=self.dilation
        )
        size = x.shape[-1 - axes : -1]
        if len(size) < axes:
            raise UserError(f"LocallyConnected: x {x.shape} needs {axes} spatial axes and channels")
        over = windows(size, window, **where, layer="LocallyConnected")
        initial = self.kernel_init or nn.initializers.he_normal(batch_axis=tuple(range(axes)))
        shape = (*over.out, *over.taps, x.shape[-1], self.features)
        kernel = self.param("kernel", initial, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            of_bias = (*over.out, self.features)
            bias = self.param("bias", self.bias_init, of_bias, self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return local_conv(x, kernel, bias, **where)
