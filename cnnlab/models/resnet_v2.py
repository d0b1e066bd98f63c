"""ResNet v2: norm and activation before each convolution, so that x + F(x) is never changed.

He et al. 2016, section 4.1 and appendix. ImageNet's are as `cnnlab.models.resnet`, CIFAR's as
`cnnlab.models.resnet_cifar`; with bottlenecks the latter have 9 n + 2 layers. Shapes:

    224x224x3    stem 112x112x64 - pool1 56x56x64 - stage1 56x56x256 - ... - stage4 7x7x2048
    32x32x3      stem 32x32x16 - stage1 32x32x64 - stage2 16x16x128 - stage3 8x8x256

Where a block changes the shape, and in the first block, the shortcut too starts after the first
norm and activation; after the last block comes another norm, with an activation.
Parameters: 18 11,687,720; 34 21,795,880; 50 25,549,352; 101 44,541,480; 152 60,185,128; 200
64,666,152; 110 1,727,962; 164 1,703,258; 1001 10,327,706 (the paper's 10.2 million are without
norms: 10,178,490). Multiply-adds as ResNet's; 200 14.8 billion, 164 0.24 billion.
Deviation: the first norm comes after ImageNet's pooling, as in TF-slim; in the paper before.
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
from cnnlab.models.residual import (
    Stem,
    apply_stages,
    keeps_shape,
    make_block,
    shortcut,
    warn_of_small,
)
from cnnlab.models.residual_layers import Convs, ConvSpec, LayerFactory, gain_of
from cnnlab.models.resnet import STEMS
from cnnlab.models.resnet_cifar import cifar
from cnnlab.utils.registry import pick


class PreActivationBlock(nn.Module):
    """Block x + F(x): norm1, activation, conv1, norm2, activation, conv2, ..., and the shortcut's.

    Attributes:
        convs: the convolutions of F.
        shortcut: "A", "B", "C" or "D"; a projection has no norm.
        layers: makes them.
        first: whether the shortcut starts after norm1 and activation though shapes agree.
    """

    convs: Convs
    shortcut: str
    layers: LayerFactory
    first: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out k"]:
        """Return the output of the block."""
        layers, y = self.layers, x
        projected = self.shortcut == "C" or not keeps_shape(x, self.convs)
        for i, spec in enumerate(self.convs, 1):
            y = layers.act(layers.normalize(y, name=f"norm{i}"))
            if i == 1 and (self.first or projected):
                x = y
            y = layers.conv(y, spec, name=f"conv{i}", last=i == len(self.convs))
        return y + shortcut(x, self.convs, self.shortcut, layers, norm=False)


class ResNetV2(nn.Module):
    """Endpoints: stem, pool1 (ImageNet's stem), stage1, ..., features, logits; sums as they are.

    Attributes:
        depths: number of blocks in each stage.
        widths: channels of each stage; bottlenecks have 4 times as many outputs.
        block: "basic" or "bottleneck".
        num_classes: number of logits; 0 returns the features.
        stem: "imagenet": 7x7/2 and 3x3/2 max-pooling; "cifar": 3x3/1 alone.
        shortcut: "A", "B", "C" or "D" (`cnnlab.models.residual`).
        shortcut_padding: where A has zeros for missing channels: at the "end" or on "both" sides.
        stride_in: convolution of a bottleneck that has the stride: "1x1" or "3x3".
        width: factor on all channels.
        dropout: share of the features set to zero in training, from the rng "dropout".
        norm: "batch" or "group" before each activation; "" for none, and biases.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
        remat: recompute each stage in the backward pass, to save memory; same results.
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    block: str = "bottleneck"
    num_classes: int = 1000
    stem: str = "imagenet"
    shortcut: str = "B"
    shortcut_padding: str = "end"
    stride_in: str = "1x1"
    width: float = 1.0
    dropout: float = 0.0
    norm: str = "batch"
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
        check_images(images, 1, "resnet_v2")
        size, stride = pick(STEMS, self.stem, "model.stem")
        dtype = jnp.dtype(self.dtype)
        gain = gain_of(self.norm, self.depths)
        layers = LayerFactory(
            self.norm,
            self.norm_axis_name,
            train,
            dtype,
            gain=gain,
            shortcut_padding=self.shortcut_padding,
        )
        endpoints: OrderedDict[str, Array] = OrderedDict()
        x = jnp.asarray(images, dtype)
        first = ConvSpec(scaled(self.widths[0], self.width), size, stride)
        x = endpoints["stem"] = Stem((first,), layers, activate=False, name="stem")(x)
        if self.stem == "imagenet":
            if self.is_initializing():
                warn_of_small(images, "a 7x7/2 convolution")
            x = endpoints["pool1"] = max_pool(x, 3, 2, 1)
        x = apply_stages(
            x,
            endpoints,
            partial(PreActivationBlock, shortcut=self.shortcut, layers=layers),
            make_block(self.block, width=self.width, stride_in=self.stride_in),
            depths=self.depths,
            widths=self.widths,
            remat=self.remat,
            first={"first": True},
        )
        x = layers.act(layers.normalize(x, name="norm"))
        return classify(
            global_avg_pool(x),
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
        )


def _imagenet(depths, block="bottleneck", top1=None, top5=None, protocol=""):
    arguments = {"depths": depths, "block": block}
    paper = "He et al. 2016, table 5"
    return Architecture(ResNetV2, paper, (224, 224, 3), arguments, top1, top5, protocol)


def _cifar(n, top1, protocol, **arguments):
    paper = "He et al. 2016, tables 2 and 4"
    arguments = {**cifar(n), **arguments}
    return Architecture(ResNetV2, paper, (32, 32, 3), arguments, top1, None, protocol)


BOTTLENECK = {"block": "bottleneck", "shortcut": "B"}
MEDIAN = "CIFAR-10 test, median of 5 runs"
MODELS = {
    "resnet18_v2": _imagenet((2, 2, 2, 2), "basic"),
    "resnet34_v2": _imagenet((3, 4, 6, 3), "basic"),
    "resnet50_v2": _imagenet((3, 4, 6, 3)),
    "resnet101_v2": _imagenet((3, 4, 23, 3)),
    "resnet152_v2": _imagenet(
        (3, 8, 36, 3), top1=78.9, top5=94.5, protocol="ImageNet val, 1 crop of 320"
    ),
    "resnet200_v2": _imagenet(
        (3, 24, 36, 3),
        top1=79.9,
        top5=95.2,
        protocol="ImageNet val, 1 crop of 320; trained with crops of any area and aspect",
    ),
    "resnet110_v2": _cifar(18, 93.63, MEDIAN),
    "resnet164_v2": _cifar(18, 94.54, MEDIAN, **BOTTLENECK),
    "resnet1001_v2": _cifar(111, 95.08, MEDIAN, **BOTTLENECK),
}
