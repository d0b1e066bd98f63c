"""A transposed convolution, the adjoint of one: zeros between the inputs, then an ordinary window.

Dumoulin & Visin 2016, chapter 4; Zeiler et al. 2010. It computes what the backward pass of a
convolution computes for its input, and its own backward pass is that convolution:

    y[a, b] = sum of x[i, j] w[u, v] where s i + d u - p = a and s j + d v - p = b
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from cnnlab.analysis.conv_arithmetic import transposed_size
from cnnlab.errors import UserError
from cnnlab.plots.layers.backward import input_frames, weight_frames
from cnnlab.plots.layers.forward import forward_frames
from cnnlab.plots.layers.frame import Actors, Frame, check

FORWARD: Actors = (
    ("input, spread out", "x", "input"),
    ("kernel, rotated by 180°", "w", "kernel"),
    ("output", "y", "output"),
)
WEIGHTS: Actors = (
    ("∂ output", "∂y", "output"),
    ("input", "x", "input"),
    ("∂ kernel", "∂w", "kernel"),
)
INPUT: Actors = (
    ("∂ output", "∂y", "output"),
    ("kernel", "w", "kernel"),
    ("∂ input", "∂x", "input"),
)


def transposed_frames(
    x: Float[np.ndarray, "h w"],
    kernel: Float[np.ndarray, "kh kw"],
    *,
    stride: int = 1,
    padding: str | int = 0,
    dilation: int = 1,
    output_padding: int = 0,
) -> list[Frame]:
    """Return a frame an output: the rotated kernel over the inputs, spread out and padded.

    Args:
        x: the input, one channel.
        kernel: the weights.
        stride: of the convolution that this one transposes: s - 1 zeros go between inputs.
        padding: of that convolution.
        dilation: distance of taps.
        output_padding: added at the bottom and at the right, below the stride.

    Raises:
        UserError: for arrays too large to read, and geometry that cannot be.
    """
    layer = "transposed convolution"
    check({"input": x, "kernel": kernel}, layer)
    if not 0 <= output_padding < max(stride, 1):
        raise UserError(f"{layer}: output_padding={output_padding} must be below stride={stride}")
    size = [
        transposed_size(i, k, stride, padding, output_padding=output_padding, dilation=dilation)
        for i, k in zip(x.shape, kernel.shape, strict=True)
    ]
    return input_frames(
        x,
        kernel,
        size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        actors=FORWARD,
        title=f"{layer}, forward",
    )


def transposed_backward_frames(
    x: Float[np.ndarray, "h w"],
    kernel: Float[np.ndarray, "kh kw"],
    dy: Float[np.ndarray, "ho wo"],
    *,
    stride: int = 1,
    padding: str | int = 0,
    dilation: int = 1,
) -> list[Frame]:
    """Return a frame a weight and one an input: the latter is the convolution of `dy`."""
    title = "transposed convolution, backward: {} sums over {}"
    geometry: Any = {"stride": stride, "padding": padding, "dilation": dilation}
    a_weight, an_input = (
        title.format("a weight", "all inputs"),
        title.format("an input", "a window"),
    )
    return [
        *weight_frames(dy, x, kernel.shape, **geometry, actors=WEIGHTS, title=a_weight),
        *forward_frames(dy, kernel, **geometry, actors=INPUT, title=an_input),
    ]
