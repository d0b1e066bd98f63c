"""Transposed convolutions in other forms than XLA's own, for CPU."""

from collections.abc import Sequence

from cnnlab.layers.forms import Form
from cnnlab.layers.geometry import Pads


def pick(
    shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Pads,
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Form | None:
    """Return a function of (x, kernel) that beats XLA's on CPU, or None.

    Args:
        shape: of x [b, *spatial, c_in].
        kernel: its shape [*window, c_out / groups, c_in].
        stride: along each axis.
        pads: of the convolution whose adjoint this is; may be negative.
        output_padding: values more at the end of each axis.
        dilation: distance of taps.
        groups: of channels.
    """
    return None
