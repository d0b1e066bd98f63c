"""What a convolution is asked to do, and XLA's own way of doing it."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from cnnlab.layers.convolution.windows import Pads, span

Form = Callable[[Array, Array], Array]
LETTERS = {1: "W", 2: "HW", 3: "DHW"}


class Setting(NamedTuple):
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
    def spans(self) -> tuple[int, ...]:
        """How many values a window covers along each axis."""
        return tuple(span(k, d) for k, d in zip(self.window, self.dilation, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """Number of windows along each axis."""
        return tuple(
            (i + sum(pad) - k) // s + 1
            for i, pad, k, s in zip(self.size, self.pads, self.spans, self.stride, strict=True)
        )

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
        """Whether any array of it has no numbers."""
        return math.prod(self.shape) * math.prod(self.kernel) == 0 or min(self.out) < 1

    def padded(self, x):
        """Return x with its zeros added."""
        return pad_zeros(x, self.pads)

    def taps(self) -> Iterator[tuple[int, ...]]:
        """Return the places in the window, in the order of the kernel."""
        return itertools.product(*(range(k) for k in self.window))

    def seen(self, padded, tap: Sequence[int]):
        """Return what stands under one tap of all windows: [b, *out, c_in]."""
        starts = [u * d for u, d in zip(tap, self.dilation, strict=True)]
        ends = [a + (o - 1) * s + 1 for a, o, s in zip(starts, self.out, self.stride, strict=True)]
        batch, *_, channels = padded.shape
        return lax.slice(padded, (0, *starts, 0), (batch, *ends, channels), (1, *self.stride, 1))


def pad_zeros(x, pads: Sequence[Sequence[int]]):
    """Return x [b, *spatial, c] with (low, high) zeros, or fewer values where negative."""
    config = [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def native(setting: Setting, x, kernel):
    """Return XLA's own convolution."""
    letters = LETTERS[setting.axes]
    return lax.conv_general_dilated(
        x,
        kernel,
        setting.stride,
        setting.pads,
        rhs_dilation=setting.dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=setting.groups,
    )
