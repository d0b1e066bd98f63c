"""2-D convolution whose form depends on the platform: XLA's own, or matrix products on CPU.

XLA's CPU convolutions are made for many channels. They lose where an image has one or a few
(c1 and c3 of LeCun et al. 1998), and where the kernel covers the whole image (its c5), whose
gradient they compute as a convolution over a padded image. The forms here are chosen when a
program is lowered for a platform, and equal XLA's to rounding.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError

NUMBERS = ("NHWC", "HWIO", "NHWC")
# From this many input channels on XLA's own form is as fast.
MANY_CHANNELS = 8
# Neighboring columns computed together: one alone makes the product thin, and more than these
# fill its matrix with zeros.
FOLDS = (4, 2)


def conv2d(
    x: Float[Array, "b h w i"],
    kernel: Float[Array, "kh kw i_of_group o"],
    window_strides: Sequence[int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = "VALID",
    *,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = NUMBERS,
    feature_group_count: int = 1,
    precision: Any = None,
) -> Float[Array, "b ho wo o"]:
    """Return the convolution of NHWC images with an HWIO kernel.

    Takes the place of `lax.conv_general_dilated`, whose arguments it has:
    `nn.Conv(..., conv_general_dilated=conv2d)`. On CPU, at stride 1 without dilation or groups, a
    kernel as large as the padded image becomes one product, and with fewer than 8 input channels
    and an even output width the convolution becomes a product over folded rows (`_folded`).
    Everything else is XLA's own.

    Deviation: in folded rows a pixel that is infinite or NaN makes up to three columns beside
    those it belongs to NaN.

    Raises:
        UserError: for another layout.
    """

    def native(x, kernel):
        return lax.conv_general_dilated(
            x,
            kernel,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers,
            feature_group_count=feature_group_count,
            precision=precision,
        )

    _check_layout(x, kernel, dimension_numbers)
    moves = (*window_strides, *(lhs_dilation or ()), *(rhs_dilation or ()))
    if max(moves) > 1 or feature_group_count > 1:
        return native(x, kernel)
    pads = _pads(x.shape[1:3], kernel.shape[:2], padding)
    form = _product_form(x.shape, kernel.shape, pads)
    if form is None:
        return native(x, kernel)

    def product(x, kernel):
        zero = jnp.zeros((), x.dtype)
        padded = lax.pad(x, zero, ((0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)))
        return form(padded, kernel, precision)

    return lax.platform_dependent(x, kernel, cpu=product, default=native)


def _check_layout(x, kernel, numbers) -> None:
    given, known = (
        lax.conv_dimension_numbers(x.shape, kernel.shape, layout) for layout in (numbers, NUMBERS)
    )
    if given != known:
        raise UserError(f"conv2d: dimension_numbers={numbers} is not {NUMBERS}")


def _pads(size, window, padding) -> list[tuple[int, int]]:
    if isinstance(padding, str):
        return list(lax.padtype_to_pads(size, window, (1, 1), padding))
    return [(int(low), int(high)) for low, high in padding]


def _product_form(shape, kernel_shape, pads) -> Callable[..., Array] | None:
    """Return the form that beats XLA's convolution on CPU, if there is one."""
    high, wide = (
        n + sum(pad) - k + 1 for n, pad, k in zip(shape[1:3], pads, kernel_shape[:2], strict=True)
    )
    if high == wide == 1:
        return _whole
    folds = [fold for fold in FOLDS if wide % fold == 0]
    if shape[3] >= MANY_CHANNELS or not folds or min(high, wide) < 1:
        return None
    return partial(_folded, folds[0])


def _whole(x, kernel, precision):
    """One window: the dot product of every image with every filter."""
    rows, columns = x.reshape(x.shape[0], -1), kernel.reshape(-1, kernel.shape[-1])
    return lax.dot(rows, columns, precision=precision)[:, None, None]


def _folded(fold, x, kernel, precision):
    """Compute `fold` neighboring columns of the output by one product.

    They all lie in a window of kw + fold - 1 columns, whose values of a row stand side by side in
    memory; the matrix holds the kernel `fold` times, each time moved on by one column.
    """
    batch, height, width, channels = x.shape
    kh, kw, _, filters = kernel.shape
    high, wide, span = height - kh + 1, (width - kw + 1) // fold, kw + fold - 1
    moved = [jnp.pad(kernel, ((0, 0), (s, fold - 1 - s), (0, 0), (0, 0))) for s in range(fold)]
    matrix = jnp.stack(moved, axis=3).reshape(kh * span * channels, fold * filters)

    rows = x.reshape(batch, height, width * channels)
    step, length = fold * channels, span * channels
    starts = range(0, wide * step, step)
    windows = jnp.stack([rows[:, :, j : j + length] for j in starts], axis=2)
    windows = jnp.concatenate([windows[:, i : i + high] for i in range(kh)], axis=-1)
    y = lax.dot(windows.reshape(-1, matrix.shape[0]), matrix, precision=precision)
    return y.reshape(batch, high, wide * fold, filters)
