"""Convolution arithmetic along one axis: sizes, paddings and receptive fields.

Dumoulin & Visin 2016, A guide to convolution arithmetic, relationships 1 to 15. For a window of k
taps, d apart, that moves by s over i values with p added at both ends:

    convolution, pooling     o = floor((i + 2p - d (k - 1) - 1) / s) + 1
    transposed convolution   o = s (i - 1) + a + d (k - 1) + 1 - 2p
    receptive field          r <- r + (k - 1) d j,  j <- s j,  start <- start - p j
"""

from collections.abc import Iterable, Sequence

from cnnlab.analysis.receptive_field import Field
from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding, pads_of, span
from cnnlab.layers.convolution.windows import Windows, per_axis, windows

Amount = str | int | tuple[int, int]


def conv_size(
    i: int,
    kernel: int,
    stride: int = 1,
    padding: Amount = 0,
    dilation: int = 1,
    *,
    ceil: bool = False,
) -> int:
    """Return how many outputs a convolution or a pooling has along an axis of `i` values.

    Args:
        i: values along the axis.
        kernel: taps of the window.
        stride: steps between windows.
        padding: at both ends, or (low, high), or "SAME", "VALID", "CAUSAL".
        dilation: distance of taps.
        ceil: whether a last window may hang over the end (see `windows.Windows`).

    Raises:
        UserError: for numbers that cannot be, and a window larger than the padded axis.
    """
    i, kernel, stride, dilation = _whole("conv_size", i, kernel, stride, dilation)
    return _windows("conv_size", padding, (i, kernel, stride, dilation), ceil=ceil).out[0]


def transposed_size(
    i: int,
    kernel: int,
    stride: int = 1,
    padding: Amount = 0,
    *,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """Return how many outputs a transposed convolution has along an axis of `i` values.

    Args:
        i: values along the axis.
        kernel: taps of the window.
        stride: of the convolution that this one transposes: distance of the windows added up.
        padding: of that convolution: values cropped at both ends, or (low, high); or a name as
            `jax.lax.conv_transpose` has it: "SAME" gives i s, "VALID" i s + max(span - s, 0).
        output_padding: added at the end, to select one of the sizes that a stride merges.
        dilation: distance of taps.

    Raises:
        UserError: for numbers that cannot be, an output padding that is neither below the stride
            nor below the dilation, and a padding that cuts off everything.
    """
    name = "transposed_size"
    i, kernel, stride, dilation = _whole(name, i, kernel, stride, dilation)
    covers = span(kernel, dilation)
    if not 0 <= output_padding < max(stride, dilation):
        raise UserError(
            f"{name}: output_padding={output_padding} must be 0 to {max(stride, dilation) - 1}, "
            f"below stride={stride} or dilation={dilation}"
        )
    if isinstance(padding, str):
        sizes = {"SAME": i * stride, "VALID": i * stride + max(covers - stride, 0)}
        if padding not in sizes:
            raise UserError(f"{name}: padding='{padding}' is none of {', '.join(sizes)}")
        return sizes[padding] + output_padding
    low, high = _pads(name, padding, (i, kernel, stride, dilation))
    size = stride * (i - 1) + covers + output_padding - low - high
    if size < 1:
        raise UserError(
            f"{name}: padding {(low, high)} cuts off all {size + low + high} values: use less"
        )
    return size


def same_padding(
    i: int, kernel: int, stride: int = 1, dilation: int = 1, *, symmetric: bool = False
) -> tuple[int, int]:
    """Return the padding (low, high) with which a convolution has ceil(i / s) outputs.

    With stride 1 this keeps the size. The least padding is given, its odd one at the end, as XLA
    and TensorFlow have it; with `symmetric` the least that is equal at both ends, as PyTorch
    needs it: where a stride leaves room the two differ, and windows lie elsewhere.

    Raises:
        UserError: for numbers that cannot be, and where `symmetric` is impossible: stride 1 and a
            window that covers an even number of values.
    """
    i, kernel, stride, dilation = _whole("same_padding", i, kernel, stride, dilation)
    low, high = _pads("same_padding", "SAME", (i, kernel, stride, dilation))
    if not symmetric or low == high:
        return low, high
    if stride == 1:
        covers = span(kernel, dilation)
        apart = f", {dilation} apart, which cover {covers} values" if dilation > 1 else ""
        raise UserError(
            f"same_padding: no equal padding keeps {i} with a window of {kernel} taps{apart}: "
            f"it takes {low + high} in all, an odd number; use padding {(low, high)}, or an odd "
            "number of taps"
        )
    # One more at the low end moves a window past the end only if the stride leaves no room.
    return high, high


def inverting_output_padding(
    i: int, kernel: int, stride: int = 1, padding: int | tuple[int, int] = 0, dilation: int = 1
) -> int:
    """Return the output padding with which a transposed convolution gives back size `i`.

    A convolution with stride s takes s input sizes to one output size; of these, a transposed
    convolution returns to the least, plus a = (i + 2p - d (k - 1) - 1) mod s (relationship 14).

    Raises:
        UserError: as `conv_size` does: there must be a convolution to invert.
    """
    name = "inverting_output_padding"
    i, kernel, stride, dilation = _whole(name, i, kernel, stride, dilation)
    over = _windows(name, padding, (i, kernel, stride, dilation))
    return (i + sum(over.pads[0]) - span(kernel, dilation)) % stride


def receptive_field(layers: Iterable[Sequence[int]]) -> list[Field]:
    """Return the receptive field after each of a chain of convolutions and poolings.

    For whole models see `cnnlab.analysis.summary`, which derives it from the program.

    Args:
        layers: (kernel, stride), and where it is not 1 the dilation, and where it is not 0 the
            padding at the low end: (k, s), (k, s, d) or (k, s, d, p).

    Raises:
        UserError: for a layer with other numbers than these.
    """
    fields, size, step, start = [], 1, 1, 0
    for number, layer in enumerate(layers):
        name = f"receptive_field: layer {number}"
        if not 2 <= len(layer) <= 4:
            raise UserError(f"{name} {tuple(layer)} is not (kernel, stride, dilation, padding)")
        k, s, d = _whole(name, *layer[:3], *[1] * (3 - len(layer)))
        p = layer[3] if len(layer) == 4 else 0
        if p < 0:
            raise UserError(f"{name}: padding={p} is negative")
        size, start, step = size + (k - 1) * d * step, start - p * step, step * s
        fields.append(Field(size, float(step), float(start)))
    return fields


def _whole(layer: str, *numbers: int) -> tuple[int, ...]:
    """Return the numbers, each of which must be whole and at least 1."""
    names = ("i", "kernel", "stride", "dilation")[-len(numbers) :]
    return tuple(per_axis(n, 1, name, layer)[0] for n, name in zip(numbers, names, strict=True))


def _pads(layer: str, padding: Amount, axis: tuple[int, int, int, int]) -> tuple[int, int]:
    """Return (low, high) for an axis of (i, kernel, stride, dilation)."""
    i, kernel, stride, dilation = axis
    return pads_of(_amount(padding), (i,), (kernel,), (stride,), (dilation,), layer)[0]


def _windows(
    layer: str, padding: Amount, axis: tuple[int, int, int, int], *, ceil: bool = False
) -> Windows:
    """Return the windows over an axis of (i, kernel, stride, dilation)."""
    i, kernel, stride, dilation = axis
    return windows(
        (i,),
        kernel,
        stride=stride,
        padding=_amount(padding),
        dilation=dilation,
        layer=layer,
        ceil=ceil,
    )


def _amount(padding: Amount) -> Padding:
    return (padding,) if isinstance(padding, tuple) else padding
