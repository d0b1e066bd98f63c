"""Depthwise separable convolution: a depthwise convolution, then a 1x1 convolution.

Sifre 2014; Chollet 2017 (Xception); Howard et al. 2017 (MobileNets), section 3.1. The first
combines places within each channel, the second combines channels. Together k^2 M + M N weights in
place of the k^2 M N of a convolution from M to N channels, and multiply-adds likewise:
1 / N + 1 / k^2 of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import Conv, conv
from cnnlab.layers.convolution.depthwise import DepthwiseConv, depthwise_conv
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis
from cnnlab.layers.initializers import he_normal


def separable_conv(
    x: Float[Array, "*batch_and_space c_in"],
    depthwise: Float[Array, "*window c_one c_middle"],
    pointwise: Float[Array, "*ones c_middle_again c_out"],
    bias: Float[Array, " c_bias"] | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: PerAxis = 1,
) -> Float[Array, "*batch_and_space_out c_out"]:
    """Return `depthwise_conv` followed by a 1x1 convolution, with nothing between them.

    Args:
        x: [*batch, *spatial, c_in].
        depthwise: kernel [*window, 1, m c_in].
        pointwise: kernel [1, ..., 1, m c_in, c_out], with as many ones as axes.
        bias: one number for each of the c_out feature maps.
        stride: of the depthwise part, and so the others.
        padding: amounts or their name.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.

    Raises:
        UserError: as `conv`, and for a pointwise kernel with a larger window.
    """
    if pointwise.shape[:-2] != (1,) * (depthwise.ndim - 2):
        raise UserError(
            f"separable_conv: pointwise kernel {pointwise.shape} needs a window of 1 on each of "
            f"the {depthwise.ndim - 2} axes of the depthwise kernel {depthwise.shape}"
        )
    y = depthwise_conv(
        x,
        depthwise,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
    )
    return conv(y, pointwise, bias)


class SeparableConv(nn.Module):
    """Depthwise convolution (`depthwise`), norm and activation, 1x1 convolution (`pointwise`).

    Howard et al. 2017, figure 3, up to the second convolution: norm and activation after it are the
    caller's. Chollet 2017 has neither norm nor activation between the two.

    Attributes:
        features: number of feature maps.
        kernel_size: taps along each axis.
        multiplier: depthwise filters for each channel.
        stride: steps between windows, of the depthwise part, and so the next three.
        padding: "SAME", "VALID", "CAUSAL", numbers or pairs.
        padding_mode: "zeros", "circular" or "reflect".
        dilation: distance of taps.
        norm: makes the norm between, such as `partial(nn.BatchNorm, use_running_average=False)`;
            None is none.
        act: activation between; None is none. With it and without a norm, the depthwise part has a
            bias.
        use_bias: one bias a feature map, after the pointwise part.
        kernel_init: initial weights of both.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    kernel_size: Sequence[int]
    multiplier: int = 1
    stride: PerAxis = 1
    padding: Padding = "SAME"
    padding_mode: str = "zeros"
    dilation: PerAxis = 1
    norm: Callable[..., nn.Module] | None = None
    act: Callable[[Array], Array] | None = None
    use_bias: bool = True
    kernel_init: Callable[..., Array] = he_normal
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch_and_space c_in"]
    ) -> Float[Array, "*batch_and_space_out features"]:
        """Return the feature maps; errors as for `conv`."""
        types = dict(dtype=self.dtype, param_dtype=self.param_dtype, kernel_init=self.kernel_init)
        x = DepthwiseConv(
            self.kernel_size,
            self.multiplier,
            stride=self.stride,
            padding=self.padding,
            padding_mode=self.padding_mode,
            dilation=self.dilation,
            # A bias before a norm, or straight before another linear layer, changes nothing.
            use_bias=self.norm is None and self.act is not None,
            name="depthwise",
            **types,
        )(x)
        if self.norm is not None:
            x = self.norm(name="norm")(x)
        if self.act is not None:
            x = self.act(x)
        ones = (1,) * len(self.kernel_size)
        return Conv(self.features, ones, use_bias=self.use_bias, name="pointwise", **types)(x)
