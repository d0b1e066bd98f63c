"""A convolution's backward pass, as the lecture shows it.

The weights: each is shared by all windows, so the derivatives that come in from all of them add up;
the window of the derivatives, its values a stride apart, slides over the input.

    dw[u, v] = sum over i, j of dy[i, j] x[s i + d u - p, s j + d v - p]

The input: the kernel, rotated by 180 degrees, slides over the derivatives, with s - 1 zeros put
between them and d (k - 1) - p around them, so that each input gathers from all that it went into.

    dx[a, b] = sum of dy[i, j] w[u, v] where s i + d u - p = a and s j + d v - p = b
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis, windows
from cnnlab.plots.layers.frame import (
    Actors,
    Frame,
    Span,
    cells,
    check,
    describe,
    extended,
    factor,
    grid,
    number,
)
from cnnlab.plots.layers.sliding import sliding_frames

WEIGHTS: Actors = (
    ("input", "x", "input"),
    ("∂ output", "∂y", "output"),
    ("∂ kernel", "∂w", "kernel"),
)
INPUT: Actors = (
    ("∂ output", "∂y", "output"),
    ("kernel, rotated by 180°", "w", "kernel"),
    ("∂ input", "∂x", "input"),
)


def backward_frames(
    x: Float[np.ndarray, "h w"],
    kernel: Float[np.ndarray, "kh kw"],
    dy: Float[np.ndarray, "ho wo"],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
) -> list[Frame]:
    """Return a frame a weight, one for the bias, and one an input.

    Args:
        x: the input, one channel.
        kernel: the weights.
        dy: derivative of the loss with respect to each output.
        stride: steps between windows.
        padding: see `padding.pads_of`.
        dilation: distance of taps.

    Raises:
        UserError: for arrays too large to read or of other shapes, and geometry that cannot be.
    """
    geometry: Any = {"stride": stride, "padding": padding, "dilation": dilation}
    return [
        *weight_frames(x, dy, kernel.shape, **geometry),
        bias_frame(dy),
        *input_frames(dy, kernel, x.shape, **geometry),
    ]


def weight_frames(
    x: Float[np.ndarray, "h w"],
    dy: Float[np.ndarray, "ho wo"],
    window: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    actors: Actors = WEIGHTS,
    title: str = "convolution, backward: a weight sums over all windows",
) -> list[Frame]:
    """Return a frame a weight: the inputs that it was multiplied with, and what came back."""
    check({"input": x, "derivative": dy}, title)
    over = windows(x.shape, window, stride=stride, padding=padding, dilation=dilation, layer=title)
    _check_derivative(dy, over.out, title)
    values, kinds = extended(x, over.pads)
    # Stride and dilation change places: the derivatives lie a stride apart, and move by taps.
    caption = describe(window, over.stride, over.pads, over.dilation)
    return sliding_frames(
        values,
        kinds,
        dy,
        window,
        stride=over.dilation,
        dilation=over.stride,
        actors=actors,
        title=title,
        caption=caption,
    )


def bias_frame(dy: Float[np.ndarray, "ho wo"]) -> Frame:
    """Return the frame of the bias: it went into every output once."""
    everywhere, total = cells(dy.shape), float(dy.sum())
    spans = [Span("∂b", "kernel")]
    for n, cell in enumerate(everywhere):
        spans += [Span(" + " if n else " = "), Span(factor(dy[cell]), "output")]
    return Frame(
        "convolution, backward: the bias sums over all outputs",
        (
            grid("∂ output", "output", dy, marked=everywhere),
            "→",
            grid("∂ bias", "kernel", [[total]], current=[(0, 0)]),
        ),
        (*spans, Span(" = "), Span(number(total), "kernel")),
    )


def input_frames(
    dy: Float[np.ndarray, "ho wo"],
    kernel: Float[np.ndarray, "kh kw"],
    size: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    actors: Actors = INPUT,
    title: str = "convolution, backward: an input sums over its windows",
) -> list[Frame]:
    """Return a frame an input: the rotated kernel over the derivatives, spread out and padded."""
    check({"derivative": dy, "kernel": kernel}, title)
    over = windows(
        size, kernel.shape, stride=stride, padding=padding, dilation=dilation, layer=title
    )
    _check_derivative(dy, over.out, title)
    low, high = [], []
    for i, o, k, s, (p, _) in zip(size, over.out, over.spans, over.stride, over.pads, strict=True):
        low.append(k - 1 - p)
        high.append(i + p - ((o - 1) * s + 1))
    # Where more was padded than a window reaches, the outermost windows saw nothing of the input:
    # what would be padded here is negative, and is left out by starting further in.
    around = [(max(before, 0), max(after, 0)) for before, after in zip(low, high, strict=True)]
    shift = [max(-before, 0) for before in low]
    values, kinds = extended(dy, around, over.stride)
    caption = describe(kernel.shape, over.stride, over.pads, over.dilation)
    return sliding_frames(
        values,
        kinds,
        kernel[::-1, ::-1],
        size,
        dilation=over.dilation,
        shift=shift,
        actors=actors,
        title=title,
        caption=caption,
    )


def _check_derivative(dy, size, layer: str) -> None:
    if dy.shape != tuple(size):
        raise UserError(f"{layer}: derivative of shape {dy.shape} for an output of {tuple(size)}")
