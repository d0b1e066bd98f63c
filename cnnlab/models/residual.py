"""Residual units x + F(x): branches, shortcuts, and the layers they are made of.

He et al. 2015, section 3 and figure 5. The branch F is a few convolutions:

    basic         3x3, c     3x3, c
    bottleneck    1x1, m     3x3, m     1x1, 4 c     m = c, or more in groups (Xie et al. 2017)

Shortcuts (He et al. 2015, section 4.1; D: He T. et al. 2018, figure 2c):

    A    the identity; where shapes differ every second pixel, and zeros for missing channels
    B    the identity; where shapes differ a 1x1 convolution
    C    a 1x1 convolution in every unit
    D    as B, with the stride left to a 2x2 average pooling before the convolution

Feature maps [b, h, w, c] -> [b, ceil(h / stride), ceil(w / stride), channels]. Convolutions are
padded alike on both sides, as in the original (Caffe): with a stride, XLA's "SAME" is not.
Deviation: without norms every unit would double the variance, so the last convolution of a branch
starts with 1 / sqrt(number of units) of He's weights (Hanin & Rolnick 2018), see `gain_of`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.initializers import he_normal, zeros
from cnnlab.layers.pooling.pool import avg_pool
from cnnlab.models.parts import norm_layer, scaled
from cnnlab.utils.registry import suggest

SHORTCUTS = ("A", "B", "C", "D")
BLOCKS = ("basic", "bottleneck")
STRIDES = ("1x1", "3x3")
# Outputs of a bottleneck for each channel of its stage.
EXPANSION = 4


class Step(NamedTuple):
    """One convolution of a branch."""

    filters: int
    size: int
    stride: int = 1
    groups: int = 1


Branch = tuple[Step, ...]


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one network, inside the `__call__` of its modules.

    Attributes:
        norm: "batch" or "group", and convolutions have no bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        train: whether BatchNorm goes by the statistics of the batch.
        dtype: of the computation.
        activation: function of each value.
        zero_scale: whether the last norm of a branch starts with scale 0, if there is one.
        gain: factor on the initial weights of the last convolution of a branch.
    """

    norm: str
    norm_axis_name: str
    train: bool
    dtype: Any
    activation: Callable[[Array], Array] = relu
    zero_scale: bool = False
    gain: float = 1.0

    def conv(self, x, step: Step, *, name: str, last: bool = False):
        """Return the convolution of `x`, with zeros around it for all of its pixels to count."""
        filters, size, stride, groups = step
        layer = Conv(
            filters,
            (size, size),
            stride=stride,
            padding=size // 2,
            groups=groups,
            use_bias=not self.norm,
            kernel_init=partial(_scaled_he, self.gain) if last else he_normal,
            dtype=self.dtype,
            name=name,
        )
        return layer(x)

    def normalize(self, x, *, name: str, last: bool = False):
        """Return `x` after a norm."""
        layer = norm_layer(
            self.norm, train=self.train, axis_name=self.norm_axis_name, dtype=self.dtype
        )
        init = {"scale_init": zeros} if last and self.zero_scale else {}
        return layer(name=name, **init)(x)


def _scaled_he(gain, key, shape, dtype=jnp.float32):
    return gain * he_normal(key, shape, dtype)


def gain_of(norm: str, depths: Sequence[int]) -> float:
    """Return what the last convolution of a branch starts with, in parts of He's weights."""
    return 1.0 if norm else max(sum(depths), 1) ** -0.5


def branches(
    block: str,
    *,
    width: float = 1.0,
    stride_in: str = "3x3",
    groups: int = 1,
    width_per_group: int = 64,
) -> Callable[[int, int], Branch]:
    """Return what gives the branch of a unit, from the channels of its stage and its stride.

    Args:
        block: "basic" or "bottleneck".
        width: factor on all channels.
        stride_in: convolution of a bottleneck that has the stride, "1x1" (the first) or "3x3".
        groups: of a bottleneck's 3x3 convolution.
        width_per_group: channels in each of them for 64 channels of the stage.
    """
    for what, value, known in (("block", block, BLOCKS), ("stride_in", stride_in, STRIDES)):
        if value not in known:
            raise UserError(f"unknown model.{what} '{value}'{suggest(value, known)}")
    if block == "basic" and (groups, width_per_group) != (1, 64):
        raise UserError(
            f"model.groups={groups} and width_per_group={width_per_group} need block='bottleneck'"
        )

    def basic(channels, stride):
        channels = scaled(channels, width)
        return Step(channels, 3, stride), Step(channels, 3)

    def bottleneck(channels, stride):
        inner = scaled(channels * width_per_group // 64 * groups, width, groups)
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        outer = EXPANSION * scaled(channels, width)
        return Step(inner, 1, first), Step(inner, 3, second, groups), Step(outer, 1)

    return basic if block == "basic" else bottleneck


def fits(x, branch: Branch) -> bool:
    """Return whether the branch's output has the shape of its input `x`."""
    return x.shape[-1] == branch[-1].filters and all(step.stride == 1 for step in branch)


def shortcut(x, branch: Branch, option: str, layers: Layers, *, norm: bool = True):
    """Return `x` in the shape of the branch's output; a projection's norm only with `norm`.

    Called inside a unit; parameters `shortcut_conv` and `shortcut_norm`.
    """
    if option not in SHORTCUTS:
        raise UserError(f"unknown model.shortcut '{option}'{suggest(option, SHORTCUTS)}")
    if option != "C" and fits(x, branch):
        return x
    filters, stride = branch[-1].filters, max(step.stride for step in branch)
    if option == "A":
        missing = filters - x.shape[-1]
        if missing < 0:
            raise UserError(
                f"model.shortcut='A' cannot make {filters} of {x.shape[-1]} channels: use 'B'"
            )
        return jnp.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, missing)))
    if option == "D" and stride > 1:
        x = avg_pool(x, stride, stride, ceil_mode=True, count_include_pad=False)
        stride = 1
    x = layers.conv(x, Step(filters, 1, stride), name="shortcut_conv")
    return layers.normalize(x, name="shortcut_norm") if norm else x


class Residual(nn.Module):
    """Unit relu(x + F(x)): conv1, norm1, relu, conv2, norm2, ..., and the shortcut's.

    Attributes:
        branch: the convolutions of F.
        shortcut: "A", "B", "C" or "D"; "" for relu(F(x)), as in a plain network.
        layers: makes them.
    """

    branch: Branch
    shortcut: str
    layers: Layers

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out k"]:
        """Return the output of the unit."""
        layers, y = self.layers, x
        for i, step in enumerate(self.branch, 1):
            last = i == len(self.branch)
            y = layers.conv(y, step, name=f"conv{i}", last=last)
            y = layers.normalize(y, name=f"norm{i}", last=last)
            y = y if last else layers.activation(y)
        if self.shortcut:
            y = y + shortcut(x, self.branch, self.shortcut, layers)
        return layers.activation(y)
