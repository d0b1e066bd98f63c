"""Sizes of transposed convolutions, and the errors that explain what cannot be.

Dumoulin & Visin 2016, relationships 8 to 14. A convolution with stride s takes s sizes to the same
one, so its adjoint has to be told which of them to make: by the output padding a, 0 to s - 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cnnlab.errors import UserError
from cnnlab.layers.convolution.windows import Padding, Pads, PerAxis, pads_of, per_axis, span


class Geometry(NamedTuple):
    """Numbers of the convolution whose adjoint is meant, along each axis.

    Attributes:
        stride: steps between windows.
        pads: zeros it adds (low, high); with flax's convention also negative.
        extra: output padding.
        dilation: distance of taps.
        size: of the output here, its input.
    """

    stride: tuple[int, ...]
    pads: Pads
    extra: tuple[int, ...]
    dilation: tuple[int, ...]
    size: tuple[int, ...]


def place(
    size: Sequence[int],
    window: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    output_padding: int | Sequence[int] = 0,
    dilation: PerAxis = 1,
    convention: str = "adjoint",
) -> Geometry:
    """Return the geometry of `conv_transpose` for an input of `size`, or say what cannot be."""
    axes = len(size)
    steps = per_axis(stride, axes, "stride", "conv_transpose")
    apart = per_axis(dilation, axes, "dilation", "conv_transpose")
    spans = [span(k, d) for k, d in zip(window, apart, strict=True)]
    extra = (output_padding,) * axes if isinstance(output_padding, int) else tuple(output_padding)
    if len(extra) != axes or any(int(a) != a or a < 0 for a in extra):
        raise UserError(
            f"conv_transpose: output_padding={output_padding} must be a whole number, or one for "
            f"each of {axes} axes, none negative"
        )
    if any(extra) and (padding == "SAME" or convention == "flax"):
        why = "padding='SAME'" if padding == "SAME" else "convention='flax'"
        raise UserError(
            f"conv_transpose: output_padding={output_padding} with {why}, which sets the size of "
            "the output itself: give padding in numbers and convention='adjoint'"
        )
    whole = [s * i for s, i in zip(steps, size, strict=True)]
    pads = pads_of(padding, whole, window, steps, apart, "conv_transpose")
    if padding == "SAME" or (padding == "VALID" and convention == "flax"):
        extra = tuple(max(s - k, 0) for s, k in zip(steps, spans, strict=True))
    elif convention == "flax" and not isinstance(padding, str):
        pads = tuple(
            (k - 1 - low, k - 1 - high) for k, (low, high) in zip(spans, pads, strict=True)
        )
    out = []
    for i, k, s, d, a, (low, high) in zip(size, spans, steps, apart, extra, pads, strict=True):
        least = s * (i - 1) + k - low - high
        if a >= max(s, d):
            raise UserError(
                f"conv_transpose: output_padding={a} must be below the stride of {s} or the "
                f"dilation of {d}: the sizes that a convolution takes to {i} are {least} to "
                f"{least + s - 1}"
            )
        if i < 1 or least + a < 1:
            raise UserError(
                f"conv_transpose: nothing is left of an input of {i} under a window covering {k} "
                f"with stride {s} and padding {(low, high)}: use less padding"
            )
        out.append(least + a)
    return Geometry(steps, pads, tuple(extra), apart, tuple(out))
