"""A convolution's forward pass: the window slides over the input, one output a step.

LeCun et al. 1998, section II.A; Dumoulin & Visin 2016, chapter 2. For one channel

    y[i, j] = sum over u, v of x[s i + d u - p, s j + d v - p] w[u, v]
"""

import numpy as np
from jaxtyping import Float

from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis, windows
from cnnlab.plots.layers.frame import Actors, Frame, check, describe, extended
from cnnlab.plots.layers.sliding import sliding_frames

ACTORS: Actors = (("input", "x", "input"), ("kernel", "w", "kernel"), ("output", "y", "output"))


def forward_frames(
    x: Float[np.ndarray, "h w"],
    kernel: Float[np.ndarray, "kh kw"],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    actors: Actors = ACTORS,
    title: str = "convolution, forward",
) -> list[Frame]:
    """Return a frame an output: input with padding and window, kernel, the outputs so far.

    Args:
        x: the input, one channel.
        kernel: the weights.
        stride: steps between windows.
        padding: see `padding.pads_of`.
        dilation: distance of taps.
        actors: name, letter and color of input, kernel and output: the backward pass of a
            transposed convolution is this one with other actors.
        title: what is written on top.

    Raises:
        UserError: for arrays too large to read, and geometry that cannot be.
    """
    check({"input": x, "kernel": kernel}, title)
    over = windows(
        x.shape, kernel.shape, stride=stride, padding=padding, dilation=dilation, layer=title
    )
    values, kinds = extended(x, over.pads)
    caption = describe(kernel.shape, over.stride, over.pads, over.dilation)
    return sliding_frames(
        values,
        kinds,
        kernel,
        over.out,
        stride=over.stride,
        dilation=over.dilation,
        actors=actors,
        title=title,
        caption=caption,
    )
