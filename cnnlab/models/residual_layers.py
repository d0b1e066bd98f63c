"""Convolutions, norms and activations of residual networks, made alike in all of their blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from cnnlab.errors import UserError
from cnnlab.layers.activations import relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.initializers import he_normal, zeros
from cnnlab.models.parts import norm_layer
from cnnlab.utils.registry import suggest

CONV_PADDINGS = ("symmetric", "SAME")


class ConvSpec(NamedTuple):
    """One convolution of a block."""

    filters: int
    size: int
    stride: int = 1
    groups: int = 1


Convs = tuple[ConvSpec, ...]


@dataclass(frozen=True)
class LayerFactory:
    """Makes convolutions, norms and activations of one network, in its modules' `__call__`.

    Attributes:
        norm: "batch" or "group", and convolutions have no bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        train: whether BatchNorm goes by the statistics of the batch.
        dtype: of the computation.
        act: activation, a function of each value.
        zero_scale: whether the last norm of a block starts with scale 0, if there is one.
        gain: factor on the initial weights of the last convolution of a block.
        shortcut_padding: where option A has its zeros: "end" or "both" sides of the channels.
        shortcut_norm: whether a projection of a `ResidualBlock` has a norm.
        conv_bias: whether convolutions have a bias although a norm follows.
        padding: "symmetric", the same number of zeros on both sides; "SAME" as TensorFlow.
        epsilon: added to the variance by norms.
    """

    norm: str
    norm_axis_name: str
    train: bool
    dtype: Any
    act: Callable[[Array], Array] = relu
    zero_scale: bool = False
    gain: float = 1.0
    shortcut_padding: str = "end"
    shortcut_norm: bool = True
    conv_bias: bool = False
    padding: str = "symmetric"
    epsilon: float = 1e-5

    def conv(self, x, spec: ConvSpec, *, name: str, last: bool = False):
        """Return the convolution of `x`, with zeros around it for all of its pixels to count."""
        filters, size, stride, groups = spec
        if self.padding not in CONV_PADDINGS:
            hint = suggest(self.padding, CONV_PADDINGS)
            raise UserError(f"unknown model.padding '{self.padding}'{hint}")
        layer = Conv(
            filters,
            (size, size),
            stride=stride,
            padding="SAME" if self.padding == "SAME" else size // 2,
            groups=groups,
            use_bias=self.conv_bias or not self.norm,
            kernel_init=partial(_scaled_he, self.gain) if last else he_normal,
            dtype=self.dtype,
            name=name,
        )
        return layer(x)

    def normalize(self, x, *, name: str, last: bool = False):
        """Return `x` after a norm."""
        layer = norm_layer(
            self.norm,
            train=self.train,
            axis_name=self.norm_axis_name,
            dtype=self.dtype,
            epsilon=self.epsilon,
        )
        init = {"scale_init": zeros} if last and self.zero_scale else {}
        return layer(name=name, **init)(x)


def _scaled_he(gain, key, shape, dtype=jnp.float32):
    return gain * he_normal(key, shape, dtype)


def gain_of(norm: str, depths: Sequence[int]) -> float:
    """Return the factor on He's initial weights of the last convolution of a block."""
    return 1.0 if norm else max(sum(depths), 1) ** -0.5
