"""Windows of transposed convolutions: the output size that padding and output padding select.

Dumoulin & Visin 2016, relationships 8 to 14. A convolution with stride s maps s input sizes to one
output size, so its adjoint needs the output padding a, 0 to s - 1, to select one of them.
"""

from collections.abc import Sequence

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding, pads_of, span
from cnnlab.layers.convolution.windows import PerAxis, Windows, per_axis


def transposed_windows(
    size: Sequence[int],
    window: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    output_padding: int | Sequence[int] = 0,
    dilation: PerAxis = 1,
    convention: str = "adjoint",
) -> Windows:
    """Return the windows of the convolution whose adjoint `conv_transpose` is.

    Their `size` is that of the output of `conv_transpose`, their `out` that of its input, `size`.
    Output padding is taken off the high end of their padding, which may be negative.

    Raises:
        UserError: for arguments that do not fit, an output padding that no convolution has, and
            padding that leaves no output.
    """
    axes = len(size)
    steps = per_axis(stride, axes, "stride", "conv_transpose")
    distances = per_axis(dilation, axes, "dilation", "conv_transpose")
    spans = [span(k, d) for k, d in zip(window, distances, strict=True)]
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
    full = [s * i for s, i in zip(steps, size, strict=True)]
    pads = pads_of(padding, full, window, steps, distances, "conv_transpose")
    if padding == "SAME" or (padding == "VALID" and convention == "flax"):
        extra = tuple(max(s - k, 0) for s, k in zip(steps, spans, strict=True))
    elif convention == "flax" and not isinstance(padding, str):
        pads = tuple(
            (k - 1 - low, k - 1 - high) for k, (low, high) in zip(spans, pads, strict=True)
        )
    out, ends = [], []
    for i, k, s, d, a, (low, high) in zip(size, spans, steps, distances, extra, pads, strict=True):
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
        ends.append((low, high - a))
    return Windows(tuple(out), tuple(window), steps, distances, tuple(ends))
