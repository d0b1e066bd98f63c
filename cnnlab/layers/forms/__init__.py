"""Convolutions in other forms than XLA's own, for CPU, where those are many times slower.

Chosen by shape while tracing; used only when the program is lowered for a CPU.
"""

from collections.abc import Callable, Sequence

from jaxtyping import Array

from cnnlab.layers.geometry import Pads

Form = Callable[[Array, Array], Array]


def pick(
    shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Pads,
    dilation: Sequence[int],
    groups: int,
) -> Form | None:
    """Return a function of (x, kernel) that beats XLA's convolution on CPU, or None.

    Args:
        shape: of x [b, *spatial, c_in].
        kernel: its shape [*window, c_in / groups, c_out].
        stride: along each axis; likewise `pads` and `dilation`.
        pads: zeros to add.
        dilation: distance of taps.
        groups: of channels.
    """
    return None
