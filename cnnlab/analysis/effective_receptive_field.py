"""Effective receptive field: the mean absolute gradient of a central unit for each pixel.

Luo et al. 2016, Understanding the effective receptive field in deep convolutional neural networks:
the gradient of a central output unit with respect to the input. In a stack of convolutions it
looks like a Gaussian, far smaller than the theoretical field: that of n layers is n (k - 1) + 1
wide, but its standard deviation grows like the root of n. For uniform k x k kernels, d apart,
variances simply add:

    variance = sum over the layers of d^2 (k^2 - 1) / 12

so that dilations 1, 2, 4, ... let it grow exponentially (section 3.3 of the paper).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.analysis.conv_arithmetic import receptive_field
from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv

# Two standard deviations of a Gaussian hold this share; pixels above 1 - it count (section 3.1).
SHARE = 0.9545

WEIGHTS = ("uniform", "random")


def effective_receptive_field(
    function: Callable[[Float[Array, "b h w c"]], Float[Array, "b ho wo co"]],
    shape: Sequence[int],
    key: Array,
    *,
    samples: int = 8,
) -> Float[np.ndarray, "h w"]:
    """Return the mean absolute gradient of the unit in the middle, scaled to a sum of 1.

    All channels of the unit get the output gradient 1 and all other units 0. Absolute values are
    averaged over input channels and over random inputs: with weights of both signs the mean itself
    is zero. The paper averages signed values; for weights that are not negative both are equal.

    Args:
        function: from images to feature maps, with the parameters of the model bound.
        shape: of one image, (h, w, c).
        key: for the inputs, standard normal.
        samples: number of inputs; a linear function needs one only.

    Raises:
        UserError: for a function whose value is no feature map, or does not depend on the input.
    """
    images = jax.random.normal(key, (samples, *shape))
    out = jax.eval_shape(function, images)
    if not hasattr(out, "shape") or len(out.shape) != 4 or len(shape) != 3:
        raise UserError(
            f"effective_receptive_field: images {tuple(images.shape)} must become feature maps "
            f"[b h w c], not {jax.tree.map(lambda x: x.shape, out)}"
        )
    row, column = out.shape[1] // 2, out.shape[2] // 2

    def middle(images):
        return function(images)[:, row, column, :].sum()

    gradient = np.asarray(jax.grad(middle)(images), np.float64)
    mean = np.abs(gradient).mean(axis=(0, 3))
    if not mean.sum() > 0:
        raise UserError(
            f"effective_receptive_field: the unit {(row, column)} of {tuple(out.shape)} does not "
            "depend on the input"
        )
    return mean / mean.sum()


def width(field: Float[np.ndarray, "h w"], share: float = SHARE) -> float:
    """Return the side of a square as large as the area above 1 - `share` of the largest value."""
    return float(np.sqrt(np.sum(field > (1 - share) * field.max())))


def deviation(field: Float[np.ndarray, "h w"]) -> tuple[float, float]:
    """Return the standard deviation of the field as a density, along each axis, in pixels."""
    deviations = []
    for axis in range(2):
        density = field.sum(axis=1 - axis) / field.sum()
        at = np.arange(len(density))
        mean = (density * at).sum()
        deviations.append(float(np.sqrt((density * (at - mean) ** 2).sum())))
    return deviations[0], deviations[1]


def stacked(
    dilations: Sequence[int],
    key: Array,
    *,
    kernel: int = 3,
    weights: str = "uniform",
    activation: Callable[[Array], Array] | None = None,
    channels: int = 1,
) -> Callable[[Float[Array, "b h w c"]], Float[Array, "b h w c"]]:
    """Return a stack of convolutions that keep the size, one for each dilation.

    Args:
        dilations: of the layers; (1,) * n is a plain stack of n.
        key: for the weights.
        kernel: taps along each axis.
        weights: "uniform" (all 1 / k^2 / channels) or "random" (He et al. 2015).
        activation: after each layer but the last.
        channels: of all feature maps, the input's too.

    Raises:
        UserError: for other weights.
    """
    if weights not in WEIGHTS:
        raise UserError(f"stacked: weights='{weights}' is none of {', '.join(WEIGHTS)}")
    shape = (kernel, kernel, channels, channels)
    kernels: list[Any] = []
    for one in jax.random.split(key, len(dilations)):
        fan_in = kernel**2 * channels
        random = jax.random.normal(one, shape) * np.sqrt(2 / fan_in)
        kernels.append(jnp.full(shape, 1 / fan_in) if weights == "uniform" else random)

    def function(x):
        for n, (weight, dilation) in enumerate(zip(kernels, dilations, strict=True)):
            x = conv(x, weight, dilation=dilation)
            if activation is not None and n + 1 < len(kernels):
                x = activation(x)
        return x

    return function


def theoretical(dilations: Sequence[int], kernel: int = 3) -> int:
    """Return the theoretical width of the receptive field of a stack of convolutions."""
    size = receptive_field([(kernel, 1, dilation) for dilation in dilations])[-1].size
    assert size is not None
    return size


def gaussian_deviation(dilations: Sequence[int], kernel: int = 3) -> float:
    """Return the standard deviation of the field of a stack of uniform convolutions, exactly."""
    return float(np.sqrt(sum(d**2 for d in dilations) * (kernel**2 - 1) / 12))
