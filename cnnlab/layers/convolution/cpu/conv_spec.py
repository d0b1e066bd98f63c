"""ConvSpec: shapes, strides and paddings of a convolution, by which a lowering is selected."""

import math
from collections.abc import Callable
from typing import NamedTuple

from jax import lax
from jaxtyping import Array

from cnnlab.layers.convolution.padding import Pads, pad_constant
from cnnlab.layers.convolution.windows import Windows

Lowering = Callable[[Array, Array], Array]
LETTERS = {1: "W", 2: "HW", 3: "DHW"}


class ConvSpec(NamedTuple):
    """Shapes and numbers of a convolution.

    Attributes:
        shape: of x [b, *spatial, c_in].
        kernel: its shape [*window, c_in / groups, c_out].
        stride: along each axis.
        pads: zeros to add (low, high) on each axis.
        dilation: distance of taps.
        groups: of channels.
    """

    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    groups: int = 1

    @property
    def windows(self) -> Windows:
        """The windows over the spatial axes of x."""
        return Windows(self.size, self.window, self.stride, self.dilation, self.pads)

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return len(self.stride)

    @property
    def window(self) -> tuple[int, ...]:
        """Taps along each axis."""
        return self.kernel[:-2]

    @property
    def size(self) -> tuple[int, ...]:
        """Of x along its spatial axes."""
        return self.shape[1:-1]

    @property
    def out(self) -> tuple[int, ...]:
        """Number of windows along each axis."""
        return self.windows.out

    @property
    def c_in(self) -> int:
        """Channels of x, of all groups."""
        return self.shape[-1]

    @property
    def c_out(self) -> int:
        """Number of filters, of all groups."""
        return self.kernel[-1]

    @property
    def empty(self) -> bool:
        """Whether one of its arrays has no numbers."""
        return math.prod(self.shape) * math.prod(self.kernel) == 0 or min(self.out) < 1

    def padded(self, x):
        """Return x with its zeros added."""
        return pad_constant(x, self.pads)

    def gather_taps(self, x) -> list:
        """Return what each tap of all windows reads of x, [b, *out, c_in] each, in kernel order."""
        padded, over = self.padded(x), self.windows
        return [over.gather_tap(padded, tap) for tap in over.tap_indices()]


def native(spec: ConvSpec, x, kernel):
    """Return XLA's own convolution."""
    letters = LETTERS[spec.axes]
    return lax.conv_general_dilated(
        x,
        kernel,
        spec.stride,
        spec.pads,
        rhs_dilation=spec.dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=spec.groups,
    )
