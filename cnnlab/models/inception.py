"""The Inception module and the auxiliary classifier of GoogLeNet.

Szegedy et al. 2014: figure 2b with the channels of table 1, and section 5. The module looks at
[b, h, w, c] through four branches of the same height and width, joined along the channels in
this order:

    1x1 | 1x1 reduce, 3x3 | 1x1 reduce, 5x5 | 3x3 max-pool with stride 1, 1x1 projection

With branches of a, (r, b), (s, d) and p channels it has c (a + r + s + p) + 9 r b + 25 s d weights.
Without the reductions the 3x3 and 5x5 would cost most of what the network does.

The paper names no initial weights. Here they are Glorot's uniform ones, and biases start at 0.2, as
in BVLC's Caffe model (whose "xavier" has variance 1 / fan_in): with biases of 0 the features of
different images hardly differ at first, and the network learns later.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.layers.activations import Activation, relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.dropout import Dropout
from cnnlab.layers.initializers import xavier_uniform
from cnnlab.layers.pooling.adaptive import adaptive_avg_pool
from cnnlab.layers.pooling.pool import avg_pool, max_pool
from cnnlab.models.parts import stage

RELU = Activation(relu, xavier_uniform)
BIAS = nn.initializers.constant(0.2)


def unit(
    x: Float[Array, "b h w c"], filters: int, window: int, *, stride: int = 1, **settings: Any
) -> Float[Array, "b ho wo filters"]:
    """Apply a convolution with half its window as padding, a norm if asked for, and ReLU.

    Args:
        x: feature maps.
        filters: how many to make.
        window: odd number of taps along both axes.
        stride: steps between windows.
        settings: `name`, `norm`, `norm_axis_name`, `train`, `dtype` and `epsilon` of `stage`.
    """
    around: Any = dict(stride=stride, padding=window // 2)
    layer = partial(Conv, filters, (window, window), bias_init=BIAS, **around)
    return stage(x, layer, RELU, **settings)


class Inception(nn.Module):
    """Parameters: conv1x1; reduce3x3, conv3x3; reduce5x5, conv5x5; proj; norms `<name>_norm`.

    Attributes:
        channels: of a row of table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
        large: window of the third branch: 5, or 3 as in torchvision.
        norm: "batch" or "group" for a norm before each ReLU, in place of the bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        epsilon: added to the variance by the norm.
        train: whether BatchNorm goes by the statistics of the batch.
        dtype: of the computation.
    """

    channels: Sequence[int]
    large: int = 5
    norm: str = ""
    norm_axis_name: str = ""
    epsilon: float = 1e-3
    train: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w joined"]:
        """Return the four branches, joined along the channels."""
        conv = partial(
            unit,
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            epsilon=self.epsilon,
            train=self.train,
            dtype=self.dtype,
        )
        one, reduce3, three, reduce5, five, proj = self.channels
        branches = [
            conv(x, one, 1, name="conv1x1"),
            conv(conv(x, reduce3, 1, name="reduce3x3"), three, 3, name="conv3x3"),
            conv(conv(x, reduce5, 1, name="reduce5x5"), five, self.large, name="conv5x5"),
            conv(max_pool(x, 3, 1, padding=1), proj, 1, name="proj"),
        ]
        return jnp.concatenate(branches, -1)


class AuxiliaryClassifier(nn.Module):
    """Average pool, 1x1 convolution `conv`, dense `fc`, dropout, dense `logits`.

    The dense layer follows the size of the image under the 5x5 windows of stride 3. Maps below 5x5
    have no such window: they are pooled like torchvision's, which at every size leave 4x4.

    Attributes:
        num_classes: number of logits.
        filters: of the convolution.
        hidden: width of the dense layer.
        pool: "strided" for the paper's 5x5 windows of stride 3, "adaptive" for torchvision's 4x4.
        dropout: share of the dense layer set to zero in training, from the rng "dropout".
        norm: for the convolution, as in `Inception`, and so the rest.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        epsilon: added to the variance by the norm.
        train: whether to drop, and to go by the statistics of the batch.
        dtype: of the computation; logits are float32 or wider.
    """

    num_classes: int
    filters: int = 128
    hidden: int = 1024
    pool: str = "strided"
    dropout: float = 0.7
    norm: str = ""
    norm_axis_name: str = ""
    epsilon: float = 1e-3
    train: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b k"]:
        """Return the logits."""
        settings: Any = dict(norm_axis_name=self.norm_axis_name, train=self.train, dtype=self.dtype)
        if self.pool == "adaptive" or min(x.shape[1:3]) < 5:
            x = adaptive_avg_pool(x, (4, 4))
        else:
            x = avg_pool(x, 5, 3)
        x = unit(x, self.filters, 1, name="conv", norm=self.norm, epsilon=self.epsilon, **settings)
        x = x.reshape(x.shape[0], -1)
        dense = partial(nn.Dense, self.hidden, bias_init=BIAS)
        x = stage(x, dense, RELU, name="fc", norm="", **settings)
        x = Dropout(self.dropout)(x, self.train)
        logits = nn.Dense(
            self.num_classes, dtype=self.dtype, kernel_init=xavier_uniform, name="logits"
        )(x)
        return logits.astype(jnp.promote_types(self.dtype, jnp.float32))
