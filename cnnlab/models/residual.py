"""Residual networks: blocks x + F(x), their shortcuts, the stem and the stages.

He et al. 2015, section 3, figure 5 and table 1. F is a few convolutions:

    basic         3x3, c     3x3, c
    bottleneck    1x1, m     3x3, m     1x1, 4 c     m = c, or more in groups (Xie et al. 2017)

Shortcuts (He et al. 2015, section 4.1; D: He T. et al. 2018, figure 2c):

    A    the identity; where shapes differ every second pixel, and zeros for missing channels
    B    the identity; where shapes differ a 1x1 convolution
    C    a 1x1 convolution in every block
    D    as B, but a 2x2 average pooling before the convolution has the stride

Of the zeros of A the paper gives no side (section 3.3: "extra zero entries padded"). "end" appends
them, as fb.resnet.torch does (a `Concat` of the input and of zeros); "both" has half of them before
and half after, as weights trained with akamaster/pytorch_resnet_cifar10 need (`F.pad` by planes / 4
on each side). Up to the order of channels both are the same network; trained weights fit only one.

Feature maps [b, h, w, c] -> [b, ceil(h / stride), ceil(w / stride), channels]. Convolutions are
padded by the same number on both sides, as in the original (Caffe): with a stride, XLA's "SAME" is
not. Deviation: without norms every block would double the variance, so the last convolution of F
starts with 1 / sqrt(number of blocks) of He's weights (Hanin & Rolnick 2018): `residual_layers`.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.pooling.pool import avg_pool
from cnnlab.models.parts import scaled
from cnnlab.models.residual_layers import Convs, ConvSpec, LayerFactory
from cnnlab.utils.console import LOG
from cnnlab.utils.registry import suggest

SHORTCUTS = ("A", "B", "C", "D")
BLOCKS = ("basic", "bottleneck")
STRIDES = ("1x1", "3x3")
PADDED = ("end", "both")
# Outputs of a bottleneck for each channel of its stage.
EXPANSION = 4


@dataclass(frozen=True)
class BasicBlock:
    """Two 3x3 convolutions: F of ResNet-18 and 34.

    Attributes:
        width: factor on all channels.
    """

    width: float = 1.0

    def __call__(self, channels: int, stride: int) -> Convs:
        """Return the convolutions of a block of a stage of so many `channels`."""
        channels = scaled(channels, self.width)
        return ConvSpec(channels, 3, stride), ConvSpec(channels, 3)


@dataclass(frozen=True)
class BottleneckBlock:
    """A 1x1, a 3x3 and a 1x1 convolution: F of the deeper networks, and of ResNeXt.

    Attributes:
        width: factor on all channels.
        stride_in: convolution that has the stride, "1x1" (the first) or "3x3".
        groups: of the 3x3 convolution.
        width_per_group: channels in each of them for 64 channels of the stage.
    """

    width: float = 1.0
    stride_in: str = "3x3"
    groups: int = 1
    width_per_group: int = 64

    def __call__(self, channels: int, stride: int) -> Convs:
        """Return the convolutions of a block of a stage of so many `channels`."""
        inner = scaled(channels * self.width_per_group // 64 * self.groups, self.width, self.groups)
        first, second = (stride, 1) if self.stride_in == "1x1" else (1, stride)
        return (
            ConvSpec(inner, 1, first),
            ConvSpec(inner, 3, second, self.groups),
            ConvSpec(EXPANSION * scaled(channels, self.width), 1),
        )


def make_block(
    block: str,
    *,
    width: float = 1.0,
    stride_in: str = "3x3",
    groups: int = 1,
    width_per_group: int = 64,
) -> BasicBlock | BottleneckBlock:
    """Return the "basic" or "bottleneck" block; a `UserError` for fields that it does not have."""
    for what, value, known in (("block", block, BLOCKS), ("stride_in", stride_in, STRIDES)):
        if value not in known:
            raise UserError(f"unknown model.{what} '{value}'{suggest(value, known)}")
    if block == "bottleneck":
        return BottleneckBlock(width, stride_in, groups, width_per_group)
    if (groups, width_per_group) != (1, 64):
        raise UserError(
            f"model.groups={groups} and width_per_group={width_per_group} need block='bottleneck'"
        )
    return BasicBlock(width)


def keeps_shape(x, convs: Convs) -> bool:
    """Return whether the last convolution's output has the shape of the first one's input `x`."""
    return x.shape[-1] == convs[-1].filters and all(conv.stride == 1 for conv in convs)


def shortcut(x, convs: Convs, option: str, layers: LayerFactory, *, norm: bool = True):
    """Return `x` in the shape of the block's output; a projection has a norm only with `norm`.

    Called inside a block; parameters `shortcut_conv` and `shortcut_norm`.
    """
    if option not in SHORTCUTS:
        raise UserError(f"unknown model.shortcut '{option}'{suggest(option, SHORTCUTS)}")
    if option != "C" and keeps_shape(x, convs):
        return x
    filters, stride = convs[-1].filters, max(conv.stride for conv in convs)
    if option == "A":
        missing = filters - x.shape[-1]
        if missing < 0:
            raise UserError(
                f"model.shortcut='A' cannot make {filters} of {x.shape[-1]} channels: use 'B'"
            )
        padding = layers.shortcut_padding
        if padding not in PADDED:
            raise UserError(f"unknown model.shortcut_padding '{padding}'{suggest(padding, PADDED)}")
        before = missing // 2 if padding == "both" else 0
        channels = (before, missing - before)
        return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), channels))
    if option == "D" and stride > 1:
        x = avg_pool(x, stride, stride, ceil_mode=True, count_include_pad=False)
        stride = 1
    x = layers.conv(x, ConvSpec(filters, 1, stride), name="shortcut_conv")
    return layers.normalize(x, name="shortcut_norm") if norm else x


class ResidualBlock(nn.Module):
    """Block relu(x + F(x)): conv1, norm1, relu, conv2, norm2, ..., and the shortcut's.

    Attributes:
        convs: the convolutions of F.
        shortcut: "A", "B", "C" or "D"; "" for relu(F(x)), as in a plain network.
        layers: makes them.
    """

    convs: Convs
    shortcut: str
    layers: LayerFactory

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out k"]:
        """Return the output of the block."""
        layers, y = self.layers, x
        for i, spec in enumerate(self.convs, 1):
            last = i == len(self.convs)
            y = layers.conv(y, spec, name=f"conv{i}", last=last)
            y = layers.normalize(y, name=f"norm{i}", last=last)
            y = y if last else layers.act(y)
        if self.shortcut:
            y = y + shortcut(x, self.convs, self.shortcut, layers, norm=layers.shortcut_norm)
        return layers.act(y)


# Below it ImageNet's stem leaves next to nothing to the stages.
SMALL = 64


class Stem(nn.Module):
    """First layers: conv1, norm1, activation, conv2, ...

    Attributes:
        convs: the convolutions.
        layers: makes them.
        activate: whether norms and activations follow.
    """

    convs: Convs
    layers: LayerFactory
    activate: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out k"]:
        """Return the feature maps."""
        for i, spec in enumerate(self.convs, 1):
            x = self.layers.conv(x, spec, name=f"conv{i}")
            if self.activate:
                x = self.layers.act(self.layers.normalize(x, name=f"norm{i}"))
        return x


def warn_of_small(images, stem: str) -> None:
    """Log a warning for images of which ImageNet's stem, which is `stem`, leaves too little."""
    height, width = images.shape[1:3]
    if min(height, width) < SMALL:
        LOG.warning(
            f"{stem} and pooling leave {-(-height // 4)}x{-(-width // 4)} of a {height}x{width} "
            "image: use model.stem=cifar"
        )


class Stage(nn.Module):
    """Blocks one after another: block1, block2, ...

    Attributes:
        blocks: make them, given the name.
    """

    blocks: tuple[Callable[..., nn.Module], ...]

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out k"]:
        """Return the output of the last block."""
        for i, block in enumerate(self.blocks, 1):
            x = block(name=f"block{i}")(x)
        return x


def apply_stages(
    x: Float[Array, "b h w c"],
    endpoints: OrderedDict[str, Array],
    module: Callable[..., nn.Module],
    block: BasicBlock | BottleneckBlock,
    *,
    depths: Sequence[int],
    widths: Sequence[int],
    remat: bool,
    first: Mapping[str, Any] | None = None,
) -> Float[Array, "b h_out w_out k"]:
    """Return the output of the last of stage1, stage2, ..., each added to `endpoints`.

    Called inside a model's `__call__`. Every stage but the first halves height and width.

    Args:
        x: output of the stem.
        endpoints: named outputs so far.
        module: makes the module of a block, given its convolutions and `name`.
        block: gives the convolutions, from the channels of the stage and the stride of the block.
        depths: blocks of each stage.
        widths: channels of each stage.
        remat: whether to compute stages again in the backward pass.
        first: further arguments of the very first block.
    """
    if len(depths) != len(widths) or not all(depths):
        raise UserError(
            f"model.depths={tuple(depths)} must be a number of blocks, 1 or more, for each of the "
            f"{len(widths)} stages of model.widths={tuple(widths)}"
        )
    stage = nn.remat(Stage) if remat else Stage
    for s, (depth, channels) in enumerate(zip(depths, widths, strict=True), 1):
        strides = [1 if s == 1 else 2] + [1] * (depth - 1)
        blocks = [partial(module, block(channels, stride)) for stride in strides]
        if s == 1 and first:
            blocks[0] = partial(blocks[0], **first)
        x = endpoints[f"stage{s}"] = stage(tuple(blocks), name=f"stage{s}")(x)
    return x
