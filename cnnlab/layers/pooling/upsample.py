"""Bilinear upsampling as a transposed convolution, fixed or as the start of a learned one.

Long et al. 2015 (fully convolutional networks), section 3.3. With factor f, the kernel has
k = 2 f - f mod 2 taps along each axis, and is a product of tents over them:

    w[u, v] = (1 - |u / f - c|) (1 - |v / f - c|),   c = (2 f - 1 - f mod 2) / (2 f)
"""

from functools import reduce
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.transposed import conv_transpose
from cnnlab.layers.convolution.windows import PerAxis, per_axis


def bilinear_kernel(*window: int) -> Float[np.ndarray, "*window"]:
    """Return the product of one tent for each axis; the factor of k taps is f = ceil(k / 2)."""
    tents = []
    for k in per_axis(window, len(window), "window", "bilinear_kernel"):
        f = (k + 1) // 2
        # The middle of the taps, which is c where k is 2 f - f mod 2. Elsewhere c, as Caffe fills
        # it, is off the middle; the code of FCN takes the middle too.
        tents.append(1 - np.abs(np.arange(k) - (k - 1) / 2) / f)
    return reduce(np.multiply.outer, tents)


def bilinear(
    key: Array | None, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
) -> Float[Array, "*window c_a c_b"]:
    """Return initial weights of a transposed convolution that upsamples each channel by itself.

    An initializer as flax's, for kernels of both conventions. The tents stand where a channel
    meets itself; all else is zero. With groups [*window, c / groups, c] too, so for a depthwise
    kernel [*window, 1, c] everywhere.

    Args:
        key: nothing here is random; not used.
        shape: [*window, a, b] with b a multiple of a.
        dtype: of the result.

    Raises:
        UserError: for a shape whose channels do not meet themselves.
    """
    if len(shape) < 3 or shape[-1] % shape[-2]:
        raise UserError(
            f"bilinear: shape {shape} must be [*window, c / groups, c]: as many features as "
            "channels come in"
        )
    a, b = shape[-2:]
    itself = np.arange(a)[:, None] == np.arange(b) % a
    return jnp.asarray(bilinear_kernel(*shape[:-2])[..., None, None] * itself, dtype)


class BilinearUpsampling(nn.Module):
    """Upsampling of [*batch, h, w, c] to [*batch, f h, f w, c] by bilinear interpolation.

    In the interior it is interpolation between pixel centers (`jax.image.resize`, and PyTorch's
    with `align_corners=False`). At the border, where interpolation would repeat the last pixel,
    there are zeros outside, as in FCN.

    Attributes:
        factor: how many times larger, for both axes or for each.
        trainable: whether it is a parameter, `kernel` [k, k, c, c], that starts so (FCN's 2x
            stages) and may come to mix channels, or stays fixed (FCN's last stage).
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    factor: PerAxis = 2
    trainable: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*batch h w c"]) -> Float[Array, "*batch ho wo c"]:
        """Return the larger feature maps."""
        factor = per_axis(self.factor, 2, "factor", "BilinearUpsampling")
        window = tuple(2 * f - f % 2 for f in factor)
        channels = x.shape[-1]
        if self.trainable:
            shape = (*window, channels, channels)
            kernel = self.param("kernel", bilinear, shape, self.param_dtype)
            x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
            return conv_transpose(x, kernel, stride=factor)
        x = x if self.dtype is None else x.astype(self.dtype)
        kernel = bilinear(None, (*window, 1, channels), x.dtype)
        return conv_transpose(x, kernel, stride=factor, groups=channels)
