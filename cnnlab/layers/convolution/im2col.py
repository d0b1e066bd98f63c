"""Convolution as one product of matrices: im2col, col2im and the backward pass.

Chellapilla et al. 2006, section 3; Chetlur et al. 2014 (cuDNN), section 3. Every window of the
input becomes a row of P, every filter a column of W, and with dY the incoming derivatives

    Y = P W + b        dW = P^T dY        dP = dY W^T        dX = col2im(dP)        db = 1^T dY

P repeats each value for every window that reads it, so `col2im`, the adjoint of `im2col`, adds up
all copies of a value. With g groups there are g smaller products. Not faster than `conv` where
measured (dense 3x3 kernels on CPU): it serves as a readable reference.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import check
from cnnlab.layers.convolution.conv_backward import Gradients, bias_gradient, check_incoming
from cnnlab.layers.convolution.padding import Padding, pad, unpad
from cnnlab.layers.convolution.windows import PerAxis, Windows, windows


def im2col(
    x: Shaped[Array, "*batch_and_space c"],
    window: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
) -> Shaped[Array, "rows columns"]:
    """Return the patch matrix: a row for each window, a column for each value of a window.

    Rows go through examples, then windows row by row; columns through taps row by row, then
    channels, which change fastest: the order of a reshaped kernel [*window, c_in, c_out].
    (`lax.conv_general_dilated_patches` has channels slowest.)

    Args:
        x: [*batch, *spatial, c], with as many spatial axes as `window` has numbers.
        window: taps along each axis.
        stride: steps between windows.
        padding: as for `conv`.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.

    Raises:
        UserError: for an `x` without these axes, and as `conv`.
    """
    over = _windows(x.shape, window, stride, padding, dilation)
    patches = pad(x, over.pads, padding_mode, "im2col")[_places(over)]
    return patches.reshape(_rows(x.shape, over), prod(over.taps) * x.shape[-1])


def col2im(
    patches: Shaped[Array, "rows columns"],
    shape: Sequence[int],
    window: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
) -> Shaped[Array, "*batch_and_space c"]:
    """Return the adjoint of `im2col`: each patch added at its place.

    Not its inverse: a value read by three windows comes back three times as large.

    Args:
        patches: as `im2col` returns them.
        shape: of the x they are from, [*batch, *spatial, c].
        window: taps along each axis.
        stride: as given to `im2col`, and so the others.
        padding: amounts or their name.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.

    Raises:
        UserError: for patches of another shape than `im2col` makes, and as it.
    """
    over = _windows(shape, window, stride, padding, dilation)
    expected = (_rows(shape, over), prod(over.taps) * shape[-1])
    if patches.shape != expected:
        raise UserError(f"col2im: patches {patches.shape} for x {tuple(shape)}: need {expected}")
    batch, size = shape[: -1 - len(window)], shape[-1 - len(window) : -1]
    padded = (i + low + high for i, (low, high) in zip(size, over.pads, strict=True))
    zeros = jnp.zeros((*batch, *padded, shape[-1]), patches.dtype)
    in_place = patches.reshape(*batch, *over.out, *over.taps, shape[-1])
    return unpad(zeros.at[_places(over)].add(in_place), over.pads, padding_mode)


def conv_im2col(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*window c_of_group c_out"],
    bias: Float[Array, " c_out"] | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Float[Array, "*batch_and_space_out c_out"]:
    """Return what `conv` returns, for the same arguments and errors, by Y = P W + b."""
    check(x, kernel, bias, groups, "conv_im2col")
    where: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation)
    patches = im2col(x, kernel.shape[:-2], padding_mode=padding_mode, **where)
    p, w = _patches_of_groups(patches, kernel, groups), _filters_of_groups(kernel, groups)
    y = _join(p @ w).reshape(_output(x, kernel, **where))
    return y if bias is None else y + bias


def conv_im2col_backward(
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
    """Return (dx, dkernel, dbias) as `conv_backward` does, in products of matrices."""
    check(x, kernel, None, groups, "conv_im2col_backward")
    where: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation)
    check_incoming(dy, x, _output(x, kernel, **where), "conv_im2col_backward")
    where["padding_mode"] = padding_mode

    patches = im2col(x, kernel.shape[:-2], **where)
    p, w = _patches_of_groups(patches, kernel, groups), _filters_of_groups(kernel, groups)
    dys = _split(dy.reshape(patches.shape[0], dy.shape[-1]), groups)
    dw = p.mT @ dys
    dp = dys @ w.mT

    by_tap = dp.reshape(groups, patches.shape[0] * prod(kernel.shape[:-2]), kernel.shape[-2])
    dx = col2im(_join(by_tap).reshape(patches.shape), x.shape, kernel.shape[:-2], **where)
    return dx, _join(dw).reshape(kernel.shape), bias_gradient(dy)


def _patches_of_groups(patches, kernel, groups: int):
    """Return the patch matrix of each group: [groups, rows, taps * c_in / groups]."""
    rows, taps = patches.shape[0], prod(kernel.shape[:-2])
    by_tap = patches.reshape(rows * taps, groups * kernel.shape[-2])
    return _split(by_tap, groups).reshape(groups, rows, taps * kernel.shape[-2])


def _filters_of_groups(kernel, groups: int):
    """Return the kernel matrix of each group: [groups, taps * c_in / groups, c_out / groups]."""
    return _split(kernel.reshape(prod(kernel.shape[:-1]), kernel.shape[-1]), groups)


def _split(a, groups: int):
    """Return [rows, columns] as [groups, rows, columns / groups]."""
    return jnp.moveaxis(a.reshape(a.shape[0], groups, a.shape[1] // groups), 1, 0)


def _join(a):
    """Return [groups, rows, columns] as [rows, groups * columns]."""
    return jnp.moveaxis(a, 0, 1).reshape(a.shape[1], a.shape[0] * a.shape[2])


def _windows(shape, window, stride, padding, dilation) -> Windows:
    if len(shape) < len(window) + 1:
        raise UserError(
            f"im2col: x {tuple(shape)} needs {len(window)} spatial axes and channels for the "
            f"window {tuple(window)}"
        )
    size = shape[-1 - len(window) : -1]
    return windows(size, window, stride=stride, padding=padding, dilation=dilation, layer="im2col")


def _places(over: Windows):
    """Return the index that makes [..., *spatial, c] into [..., *windows, *taps, c]."""
    axes = len(over.taps)
    index: list[Any] = [...]
    for axis, (m, k) in enumerate(zip(over.out, over.taps, strict=True)):
        places = over.stride[axis] * np.arange(m)[:, None] + over.dilation[axis] * np.arange(k)
        others = [n for n in range(2 * axes) if n not in (axis, axes + axis)]
        index.append(np.expand_dims(places, others))
    return (*index, slice(None))


def _rows(shape, over: Windows) -> int:
    return prod(shape[: -1 - len(over.taps)]) * prod(over.out)


def _output(x, kernel, **where) -> tuple[int, ...]:
    """Return the shape of the convolution's output."""
    over = _windows(x.shape, kernel.shape[:-2], **where)
    return (*x.shape[: 1 - kernel.ndim], *over.out, kernel.shape[-1])
