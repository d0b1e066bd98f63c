"""ResNet: a stem, four stages of residual blocks, global average pooling, one dense layer.

He et al. 2015, table 1; ResNeXt: Xie et al. 2017, table 1. Shapes for 224x224x3:

    stem 112x112x64 - pool1 56x56x64 - stage1 56x56 - stage2 28x28 - stage3 14x14 - stage4 7x7
    channels 64, 128, 256, 512; with bottlenecks 256, 512, 1024, 2048

Parameters: 18 11,689,512; 34 21,797,672; 50 25,557,032; 101 44,549,160; 152 60,192,808; ResNeXt-50
25,028,904. Multiply-adds: 1.81, 3.66, 3.86, 7.57, 11.28 billion; ResNeXt-50 4.23.
In the paper a bottleneck's first 1x1 convolution has the stride (`stride_in="1x1"`); the names with
_v15 and ResNeXt have it in the 3x3 (Goyal et al. 2017, section 5.1), as have torchvision's weights.
Deviation: the classifier starts with variance 1 / fan_in.
"""

from collections import OrderedDict
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.layers.pooling.global_pool import global_avg_pool
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import check_images, classify, scaled
from cnnlab.models.residual import ResidualBlock, Stem, apply_stages, make_block, warn_of_small
from cnnlab.models.residual_layers import ConvSpec, LayerFactory, gain_of
from cnnlab.utils.registry import pick

# Size and stride of the first convolution.
STEMS = {"imagenet": (7, 2), "cifar": (3, 1)}


class ResNet(nn.Module):
    """Endpoints: stem, pool1 (ImageNet's stem), stage1, ..., features, logits.

    Attributes:
        depths: number of blocks in each stage.
        widths: channels of each stage; bottlenecks have 4 times as many outputs.
        block: "basic" or "bottleneck".
        num_classes: number of logits; 0 returns the features.
        stem: "imagenet": 7x7/2 and 3x3/2 max-pooling; "cifar": 3x3/1 alone.
        residual: whether there are shortcuts; a plain network has none.
        shortcut: "A", "B", "C" or "D" (`cnnlab.models.residual`).
        shortcut_padding: where A has zeros for missing channels: at the "end" or on "both" sides.
        shortcut_norm: whether the convolutions of B, C and D have a norm.
        stride_in: which convolution of a bottleneck has the stride: "1x1" (paper) or "3x3".
        groups: of a bottleneck's 3x3 convolution.
        width_per_group: channels of each of them for 64 channels of the stage.
        zero_scale: whether the last norm of each block starts with scale 0.
        width: factor on all channels.
        dropout: share of the features set to zero in training, from the rng "dropout".
        norm: "batch" or "group" after each convolution; "" for none, and biases.
        norm_epsilon: added to the variance by the norm.
        conv_bias: whether convolutions have a bias although a norm follows, as Keras' default.
        padding: "symmetric", the same number of zeros on both sides; "SAME" as TensorFlow.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
        remat: recompute each stage in the backward pass, to save memory; same results.
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    block: str = "bottleneck"
    num_classes: int = 1000
    stem: str = "imagenet"
    residual: bool = True
    shortcut: str = "B"
    shortcut_padding: str = "end"
    shortcut_norm: bool = True
    stride_in: str = "1x1"
    groups: int = 1
    width_per_group: int = 64
    zero_scale: bool = False
    width: float = 1.0
    dropout: float = 0.0
    norm: str = "batch"
    norm_epsilon: float = 1e-5
    conv_bias: bool = False
    padding: str = "symmetric"
    norm_axis_name: str = ""
    dtype: str = "float32"
    remat: bool = False

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for images that are none, or a field that cannot be; it names it.
        """
        check_images(images, 1, "resnet")
        size, stride = pick(STEMS, self.stem, "model.stem")
        dtype = jnp.dtype(self.dtype)
        layers = LayerFactory(
            self.norm,
            self.norm_axis_name,
            train,
            dtype,
            zero_scale=self.zero_scale,
            gain=gain_of(self.norm, self.depths) if self.residual else 1.0,
            shortcut_padding=self.shortcut_padding,
            shortcut_norm=self.shortcut_norm,
            conv_bias=self.conv_bias,
            padding=self.padding,
            epsilon=self.norm_epsilon,
        )
        endpoints: OrderedDict[str, Array] = OrderedDict()
        x = jnp.asarray(images, dtype)
        first = ConvSpec(scaled(self.widths[0], self.width), size, stride)
        x = endpoints["stem"] = Stem((first,), layers, name="stem")(x)
        if self.stem == "imagenet":
            if self.is_initializing():
                warn_of_small(images, "a 7x7/2 convolution")
            x = endpoints["pool1"] = max_pool(x, 3, 2, 1)
        x = apply_stages(
            x,
            endpoints,
            partial(ResidualBlock, shortcut=self.shortcut if self.residual else "", layers=layers),
            make_block(
                self.block,
                width=self.width,
                stride_in=self.stride_in,
                groups=self.groups,
                width_per_group=self.width_per_group,
            ),
            depths=self.depths,
            widths=self.widths,
            remat=self.remat,
        )
        return classify(
            global_avg_pool(x),
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
        )


def _resnet(depths, block="bottleneck", top1=None, top5=None, protocol="", paper="", **arguments):
    return Architecture(
        ResNet,
        paper or "He et al. 2015, table 1",
        (224, 224, 3),
        {"depths": depths, "block": block, **arguments},
        top1,
        top5,
        protocol,
    )


CROPS = "ImageNet val, 10 crops"
MODELS = {
    "resnet18": _resnet((2, 2, 2, 2), "basic", 72.12, protocol=f"{CROPS}, shortcut=A"),
    "resnet34": _resnet((3, 4, 6, 3), "basic", 75.48, 92.54, CROPS),
    "resnet50": _resnet((3, 4, 6, 3), "bottleneck", 77.15, 93.29, CROPS),
    "resnet101": _resnet((3, 4, 23, 3), "bottleneck", 78.25, 93.95, CROPS),
    "resnet152": _resnet((3, 8, 36, 3), "bottleneck", 78.57, 94.29, CROPS),
    "resnet50_v15": _resnet(
        (3, 4, 6, 3),
        top1=76.4,
        protocol="ImageNet val, 1 crop of 224, mean of 5 runs",
        paper="Goyal et al. 2017, section 5.1",
        stride_in="3x3",
    ),
    "resnet101_v15": _resnet(
        (3, 4, 23, 3), paper="Goyal et al. 2017, section 5.1", stride_in="3x3"
    ),
    "resnet152_v15": _resnet(
        (3, 8, 36, 3), paper="Goyal et al. 2017, section 5.1", stride_in="3x3"
    ),
    "resnext50_32x4d": _resnet(
        (3, 4, 6, 3),
        top1=77.8,
        protocol="ImageNet val, 1 crop of 224",
        paper="Xie et al. 2017, table 1",
        stride_in="3x3",
        groups=32,
        width_per_group=4,
    ),
    "plain18": _resnet((2, 2, 2, 2), "basic", 72.06, None, CROPS, residual=False),
    "plain34": _resnet((3, 4, 6, 3), "basic", 71.46, 89.98, CROPS, residual=False),
}
