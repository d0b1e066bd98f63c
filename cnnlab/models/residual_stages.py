"""Stems and stages of residual networks: what comes before the units, and units in a row.

He et al. 2015, table 1. Feature maps [b, h, w, c] -> [b, h_out, w_out, k]: every stage but the
first halves height and width, rounded up.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.models.residual import Branch, Layers
from cnnlab.utils.console import LOG

# Below it ImageNet's stem leaves next to nothing to the stages.
SMALL = 64


class Stem(nn.Module):
    """First layers: conv1, norm1, activation, conv2, ...

    Attributes:
        steps: the convolutions.
        layers: makes them.
        activate: whether norms and activations follow.
    """

    steps: Branch
    layers: Layers
    activate: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out k"]:
        """Return the feature maps."""
        for i, step in enumerate(self.steps, 1):
            x = self.layers.conv(x, step, name=f"conv{i}")
            if self.activate:
                x = self.layers.activation(self.layers.normalize(x, name=f"norm{i}"))
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
    """Units one after another: block1, block2, ...

    Attributes:
        units: make them, given the name.
    """

    units: tuple[Callable[..., nn.Module], ...]

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h_out w_out k"]:
        """Return the output of the last unit."""
        for i, unit in enumerate(self.units, 1):
            x = unit(name=f"block{i}")(x)
        return x


def apply_stages(
    x: Float[Array, "b h w c"],
    endpoints: OrderedDict[str, Array],
    unit: Callable[..., nn.Module],
    branch: Callable[[int, int], Branch],
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
        unit: makes a unit, given its branch and `name`.
        branch: gives a branch from the channels of the stage and the stride of the unit.
        depths: units of each stage.
        widths: channels of each stage.
        remat: whether to compute stages again in the backward pass.
        first: further arguments of the very first unit.
    """
    if len(depths) != len(widths) or not all(depths):
        raise UserError(
            f"model.depths={tuple(depths)} must be a number of units, 1 or more, for each of the "
            f"{len(widths)} stages of model.widths={tuple(widths)}"
        )
    stage = nn.remat(Stage) if remat else Stage
    for s, (depth, channels) in enumerate(zip(depths, widths, strict=True), 1):
        strides = [1 if s == 1 else 2] + [1] * (depth - 1)
        units = [partial(unit, branch(channels, stride)) for stride in strides]
        if s == 1 and first:
            units[0] = partial(units[0], **first)
        x = endpoints[f"stage{s}"] = stage(tuple(units), name=f"stage{s}")(x)
    return x
