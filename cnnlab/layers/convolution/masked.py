"""Masked convolution: a window over the places before its own in row-major order.

van den Oord, Kalchbrenner & Kavukcuoglu 2016 (Pixel Recurrent Neural Networks), section 3.4: masks
A and B. With the place (i, j) of the output, the window holds these rows and columns of the input:

    A      rows above; of the own row the columns left of j
    B      as A, and (i, j) itself
    row    rows above, and the whole own row: nothing below (Henaff et al. 2019, appendix)

x [*batch, h, w, c_in] -> [*batch, h, w, c_out], zeros outside. Stacked, layers of "row" and of "B"
read a larger part of the past and never the future; "A" is for a first layer that must not read
the place itself. The parameters are the weights of the unmasked taps alone:

    kernel [taps, c_in, c_out], taps row by row from the top left; bias [c_out]

Deviation: the masks are for places, not for the order of color channels within one.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.initializers import he_normal, zeros
from cnnlab.utils.registry import pick

# Unmasked columns of the own row, given their distance from the place.
MASKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "A": lambda columns: columns < 0,
    "B": lambda columns: columns <= 0,
    "row": lambda columns: columns < np.inf,
}


def visible(window: tuple[int, int], mask: str) -> np.ndarray:
    """Return which taps of a window are unmasked, bool [rows, columns]; the last row is the own.

    Args:
        window: rows, counted from the own one upwards, and columns, an odd number around the own.
        mask: "A", "B" or "row".

    Raises:
        UserError: for an unknown mask, an even number of columns, or a window that is all masked.
    """
    own = pick(MASKS, mask, "mask")
    rows, columns = window
    if rows < 1 or columns < 1 or columns % 2 == 0:
        raise UserError(f"masked_conv: window={window}: needs 1 row or more, and odd columns")
    unmasked = np.ones((rows, columns), bool)
    unmasked[-1] = own(np.arange(columns) - columns // 2)
    if not unmasked.any():
        raise UserError(f"masked_conv: window={window} with mask '{mask}' sees nothing")
    return unmasked


def masked_conv(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "taps c_in c_out"],
    bias: Float[Array, " c_out"] | None = None,
    *,
    window: tuple[int, int] = (2, 3),
    mask: str = "row",
) -> Float[Array, "*batch h w c_out"]:
    """Return the convolution of `x` with a window that reads no later place.

    Args:
        x: feature maps.
        kernel: the weights of the unmasked taps, row by row.
        bias: one number a filter.
        window: rows from the own one upwards, columns around the own one.
        mask: "A", "B" or "row".

    Raises:
        UserError: as `visible`, and for a kernel of another number of taps.
    """
    unmasked = visible(window, mask)
    if len(kernel) != unmasked.sum():
        raise UserError(
            f"masked_conv: kernel {kernel.shape} for window={window}, mask '{mask}': "
            f"needs {unmasked.sum()} taps"
        )
    rows, columns = window
    if unmasked.all():
        whole = kernel.reshape(rows, columns, *kernel.shape[1:])
    else:
        whole = jnp.zeros((rows, columns, *kernel.shape[1:]), kernel.dtype)
        whole = whole.at[np.nonzero(unmasked)].set(kernel)
    side = columns // 2
    return conv(x, whole, bias, padding=((rows - 1, 0), (side, side)))


class MaskedConv(nn.Module):
    """Masked convolution with parameters `kernel` [taps, c_in, features] and `bias`.

    Attributes:
        features: number of filters.
        window: rows from the own one upwards, columns around the own one.
        mask: "A", "B" or "row".
        use_bias: one bias a filter.
        kernel_init: initial weights; with the fan-in of the unmasked taps.
        bias_init: initial bias.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    window: tuple[int, int] = (2, 3)
    mask: str = "row"
    use_bias: bool = True
    kernel_init: Callable[..., Array] = he_normal
    bias_init: Callable[..., Array] = zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*batch h w c_in"]) -> Float[Array, "*batch h w features"]:
        """Return the feature maps; errors as for `masked_conv`."""
        taps = int(visible(self.window, self.mask).sum())
        shape = (taps, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return masked_conv(x, kernel, bias, window=self.window, mask=self.mask)
