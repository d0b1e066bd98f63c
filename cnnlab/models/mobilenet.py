"""MobileNet v1: 13 depthwise separable convolutions, for any width and resolution.

Howard et al. 2017, table 1; for 224x224x3 and width 1:

    stem 112x112x32 - block1 112x112x64 - blocks 2, 3 56x56x128 - blocks 4, 5 28x28x256
    blocks 6 to 11 14x14x512 - blocks 12, 13 7x7x1024 - features 1024 - logits 1000

A block is a 3x3 depthwise convolution and a 1x1 convolution, BatchNorm and ReLU after both.
Parameters: 4,231,976; 568,740,352 multiply-adds (table 8: 4.2 and 569 million).

Deviations: the last depthwise convolution has stride 1 where table 1 prints 2, as 7x7 is what it
takes and makes there; He's initial weights, as the paper names none (TensorFlow's Slim: 0.09 times
a cut normal); no dropout (Slim: 0.001). Padding is one zero on each side (PyTorch); "SAME" pads
the bottom and right alone under stride 2 of even sizes (TensorFlow).
"""

from collections import OrderedDict
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import Activation, relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.convolution.depthwise import DepthwiseConv
from cnnlab.layers.initializers import he_normal
from cnnlab.layers.pooling.global_pool import global_avg_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import check_images, classify, scaled, stage
from cnnlab.utils.registry import pick


def relu6(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return max(x, 0), at most 6."""
    return jnp.minimum(relu(x), 6)


ACTIVATIONS = {"relu": Activation(relu, he_normal), "relu6": Activation(relu6, he_normal)}
PADDINGS: dict[str, int | str] = {"symmetric": 1, "SAME": "SAME"}
# Table 1: channels and stride of each block.
START = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
MIDDLE = ((512, 1),) * 5
END = ((1024, 2), (1024, 1))


class Block(nn.Module):
    """Depthwise 3x3 and 1x1 convolution (`depthwise`, `pointwise`), or a full 3x3 one (`conv`).

    Each with its norm `<name>_norm` and an activation (Howard et al. 2017, figure 3).

    Attributes:
        features: number of feature maps.
        stride: of the 3x3 convolution.
        full: whether that is an ordinary one.
        activation: after each norm.
        padding: of the 3x3 convolution.
        norm: "batch" or "group", in place of the bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        epsilon: added to the variance by the norm.
        bias: whether convolutions have one although a norm follows.
        train: whether BatchNorm goes by the statistics of the batch.
        dtype: of the computation.
    """

    features: int
    stride: int
    full: bool = False
    activation: Activation = ACTIVATIONS["relu"]
    padding: int | str = 1
    norm: str = "batch"
    norm_axis_name: str = ""
    epsilon: float = 1e-3
    bias: bool = False
    train: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b ho wo features"]:
        """Return the feature maps."""
        apply_stage = partial(
            stage,
            activation=self.activation,
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            train=self.train,
            dtype=self.dtype,
            epsilon=self.epsilon,
            bias=self.bias,
        )
        around: Any = dict(kernel_size=(3, 3), stride=self.stride, padding=self.padding)
        if self.full:
            return apply_stage(x, partial(Conv, self.features, **around), name="conv")
        x = apply_stage(x, partial(DepthwiseConv, **around), name="depthwise")
        return apply_stage(x, partial(Conv, self.features, (1, 1)), name="pointwise")


class MobileNet(nn.Module):
    """Endpoints: stem, block1 to block13, features, logits; layers after their activation.

    Attributes:
        num_classes: number of logits; 0 returns the features.
        width: factor on the number of channels, the paper's alpha.
        convolution: "separable"; "full" for the paper's Conv MobileNet (table 4).
        shallow: leave out the five blocks from 14x14x512 to the same (table 5): 8 blocks are left.
        activation: "relu" or "relu6".
        padding: "symmetric", one zero on each side; "SAME" as TensorFlow.
        dropout: share of the features set to zero in training, from the rng "dropout".
        norm: "batch" or "group" after each convolution, in place of its bias; "" for none.
        norm_epsilon: added to the variance by the norm.
        conv_bias: whether convolutions have a bias although a norm follows, as Keras' default.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        remat: recompute each block in the backward pass.
        dtype: of the computation; parameters and logits are float32.
    """

    num_classes: int = 1000
    width: float = 1.0
    convolution: str = "separable"
    shallow: bool = False
    activation: str = "relu"
    padding: str = "symmetric"
    dropout: float = 0.0
    norm: str = "batch"
    norm_epsilon: float = 1e-3
    conv_bias: bool = False
    norm_axis_name: str = ""
    remat: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for images that are not [b, h, w, c], or an unknown convolution, activation
                or padding.
        """
        check_images(images, 1, "mobilenet")
        if self.convolution not in ("separable", "full"):
            raise UserError(
                f"mobilenet: convolution='{self.convolution}' is unknown: use 'separable' or 'full'"
            )
        activation = pick(ACTIVATIONS, self.activation, "activation of mobilenet")
        padding = pick(PADDINGS, self.padding, "padding of mobilenet")
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        settings: Any = dict(
            activation=activation,
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            epsilon=self.norm_epsilon,
            bias=self.conv_bias,
            train=train,
            dtype=dtype,
        )
        stem = partial(Conv, scaled(32, self.width), (3, 3), stride=2, padding=padding)
        x = endpoints["stem"] = stage(jnp.asarray(images, dtype), stem, name="stem", **settings)
        block = nn.remat(Block) if self.remat else Block
        middle = () if self.shallow else MIDDLE
        for n, (channels, stride) in enumerate(START + middle + END, 1):
            x = endpoints[f"block{n}"] = block(
                scaled(channels, self.width),
                stride,
                full=self.convolution == "full",
                padding=padding,
                name=f"block{n}",
                **settings,
            )(x)
        return classify(
            global_avg_pool(x),
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
        )


def _architecture(table: str, width: float, top1: float) -> Architecture:
    return Architecture(
        MobileNet,
        f"Howard et al. 2017, table {table}",
        (224, 224, 3),
        {"width": width},
        top1=top1,
        protocol="ILSVRC-2012 val",
    )


MODELS = {
    "mobilenet_v1": _architecture("1", 1.0, 70.6),
    "mobilenet_v1_075": _architecture("6", 0.75, 68.4),
    "mobilenet_v1_050": _architecture("6", 0.5, 63.7),
    "mobilenet_v1_025": _architecture("6", 0.25, 50.6),
}
