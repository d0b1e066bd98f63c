"""Pictures by the name of a layer, with the lecture's numbers where sizes are the lecture's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnlab.analysis.conv_arithmetic import conv_size, transposed_size
from cnnlab.errors import UserError
from cnnlab.plots.layers.backward import backward_frames
from cnnlab.plots.layers.forward import forward_frames
from cnnlab.plots.layers.frame import LARGEST, Frame
from cnnlab.plots.layers.pooling import pooling_backward_frames, pooling_frames, switches
from cnnlab.plots.layers.transposed import transposed_backward_frames, transposed_frames
from cnnlab.plots.layers.unpooling import unpooling_backward_frames, unpooling_frames
from cnnlab.utils.registry import pick

SLIDE = np.arange(1.0, 10.0).reshape(3, 3)
KERNEL = np.array([[1.0, 2.0], [3.0, 4.0]])
POOLED = np.array([[1, 3, 2, 4], [5, 6, 7, 8], [9, 2, 1, 0], [3, 4, 5, 6]], float)
DERIVATIVE = np.array([[1.0, 0.0], [0.0, 2.0]])


@dataclass(frozen=True)
class Picture:
    """A picture: what draws it, and its numbers where none are given.

    Attributes:
        frames: gets whether to go backward, and the options.
        options: what can be chosen: size, kernel, stride, padding, dilation, with its default.
    """

    frames: Callable[..., list[Frame]]
    options: dict[str, Any] = field(default_factory=dict)


def _numbers(low: int, high: int, *shape: int) -> np.ndarray:
    """Return whole numbers that look arbitrary and are always the same."""
    return np.random.default_rng(len(shape) + sum(shape)).integers(low, high, shape).astype(float)


def _or(known: np.ndarray, low: int, high: int, *shape: int) -> np.ndarray:
    """Return the numbers that are known if they have this shape, others if not."""
    return known if known.shape == shape else _numbers(low, high, *shape)


def _convolution(backward: bool, *, size, kernel, stride, padding, dilation) -> list[Frame]:
    x, w = _or(SLIDE, 0, 10, size, size), _or(KERNEL, -1, 3, kernel, kernel)
    geometry: Any = {"stride": stride, "padding": padding, "dilation": dilation}
    if not backward:
        return forward_frames(x, w, **geometry)
    count = conv_size(size, kernel, stride, padding, dilation)
    return backward_frames(x, w, _or(DERIVATIVE, -2, 3, count, count), **geometry)


def _transposed(backward: bool, *, size, kernel, stride, padding, dilation) -> list[Frame]:
    x, w = _or(KERNEL, 1, 10, size, size), _or(KERNEL, -1, 3, kernel, kernel)
    geometry: Any = {"stride": stride, "padding": padding, "dilation": dilation}
    if not backward:
        return transposed_frames(x, w, **geometry)
    count = transposed_size(size, kernel, stride, padding, dilation=dilation)
    return transposed_backward_frames(x, w, _numbers(-2, 3, count, count), **geometry)


def _pooling(kind: str) -> Callable[..., list[Frame]]:
    def frames(backward: bool, *, size, kernel, stride, padding) -> list[Frame]:
        x = _or(POOLED, 0, 10, size, size)
        geometry: Any = {"stride": stride or kernel, "padding": padding, "kind": kind}
        if not backward:
            return pooling_frames(x, kernel, **geometry)
        count = conv_size(size, kernel, stride or kernel, padding)
        return pooling_backward_frames(x, _or(KERNEL, 1, 10, count, count), kernel, **geometry)

    return frames


def _unpooling(kind: str) -> Callable[..., list[Frame]]:
    def frames(backward: bool, *, size, kernel) -> list[Frame]:
        full = _or(POOLED, 0, 10, size * kernel, size * kernel)
        pooled, won = switches(full, kernel)
        options: Any = {"kind": kind, "switches": won if kind == "switches" else None}
        if backward:
            return unpooling_backward_frames(_numbers(-2, 3, *full.shape), kernel, **options)
        return unpooling_frames(pooled, kernel, **options)

    return frames


_WINDOW = {"stride": 1, "padding": 0, "dilation": 1}
_POOL = {"size": 4, "kernel": 2, "stride": None, "padding": 0}
_BLOCK = {"size": 2, "kernel": 2}

PICTURES = {
    "conv": Picture(_convolution, {"size": 3, "kernel": 2, **_WINDOW}),
    "conv_strided": Picture(_convolution, {"size": 5, "kernel": 3, **_WINDOW, "stride": 2}),
    "conv_dilated": Picture(_convolution, {"size": 7, "kernel": 3, **_WINDOW, "dilation": 2}),
    "transposed": Picture(_transposed, {"size": 2, "kernel": 2, **_WINDOW, "stride": 2}),
    "max_pool": Picture(_pooling("max"), _POOL),
    "avg_pool": Picture(_pooling("average"), _POOL),
    "unpool": Picture(_unpooling("switches"), _BLOCK),
    "nearest_unpool": Picture(_unpooling("nearest"), _BLOCK),
    "bed_of_nails": Picture(_unpooling("nails"), _BLOCK),
}


def picture(name: str, *, backward: bool = False, **options: Any) -> list[Frame]:
    """Return the frames of a picture.

    Args:
        name: a key of PICTURES.
        backward: whether to draw the backward pass.
        options: size of the input, kernel (of the window), stride, padding, dilation; None or
            nothing for the picture's own.

    Raises:
        UserError: for an unknown picture, an option that it has not, sizes that cannot be.
    """
    found = pick(PICTURES, name, "picture")
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        if key not in found.options:
            raise UserError(
                f"the picture of {name} has no {key}; it has: {', '.join(found.options)}"
            )
        limit = 2 * LARGEST
        if isinstance(value, int) and value > limit:
            raise UserError(f"the picture of {name} has no room for {key}={value}: at most {limit}")
    return found.frames(backward, **{**found.options, **given})
