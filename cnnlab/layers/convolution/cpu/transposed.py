"""Transposed convolutions in other forms than XLA's own, for CPU.

XLA's own, with zeros between the values of x, is fast enough over one or two axes; the gradient of
its kernel is not, and over three axes nothing is. Large strides make it multiply mostly by zeros.
"""

import math
from collections.abc import Sequence
from functools import partial, reduce

import jax.numpy as jnp
from jax import lax

from cnnlab.layers.convolution import cpu
from cnnlab.layers.convolution.cpu.conv_spec import LETTERS, Form, Setting, native, pad_zeros
from cnnlab.layers.convolution.cpu.with_gradients import bilinear
from cnnlab.layers.convolution.windows import Pads

# Outputs for each input from which the zeros between inputs cost more than parity's rearranging.
MANY_PARITIES = 9


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
    # The high end of the padding takes away from the output what output padding gives it.
    ends = tuple((low, high - a) for (low, high), a in zip(pads, output_padding, strict=True))
    setting = Setting(tuple(shape), tuple(kernel), tuple(stride), ends, tuple(dilation), groups)
    form = choose(setting)
    return None if form is None else cpu.in_float32(form)


def choose(setting: Setting) -> Form | None:
    """Return the form meant for these shapes; `setting` is that of the adjoint."""
    if math.prod(setting.shape) * math.prod(setting.kernel) == 0 or min(size(setting)) < 1:
        return None
    if max(setting.dilation) == 1 and (
        setting.groups > 1
        or setting.window == setting.stride
        or (setting.axes < 3 and _by_parity(setting))
    ):
        return parities(setting)
    if setting.groups > 1:
        return None
    if setting.axes == 3:
        return partial(over_time, setting)
    return with_fast_gradient(setting, partial(spread, setting))


def _by_parity(setting: Setting) -> bool:
    even = all(k % s == 0 for k, s in zip(setting.window, setting.stride, strict=True))
    return even and math.prod(setting.stride) >= MANY_PARITIES


def size(setting: Setting) -> tuple[int, ...]:
    """Return the size of the output along each axis."""
    return tuple(
        s * (i - 1) + k - low - high
        for s, i, k, (low, high) in zip(
            setting.stride, setting.size, setting.spans, setting.pads, strict=True
        )
    )


def spread(setting: Setting, x, kernel):
    """XLA's own: a convolution over x with zeros between its values."""
    letters, axes = LETTERS[setting.axes], range(setting.axes)
    return lax.conv_general_dilated(
        x,
        jnp.flip(kernel, tuple(axes)),
        (1,) * setting.axes,
        [(k - 1 - low, k - 1 - high) for k, (low, high) in _ends(setting)],
        lhs_dilation=setting.stride,
        rhs_dilation=setting.dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}OI", f"N{letters}C"),
    )


def _ends(setting: Setting):
    return zip(setting.spans, setting.pads, strict=True)


def with_fast_gradient(setting: Setting, form: Form) -> Form:
    """Return `form`, whose gradients are those of the convolution that it is the adjoint of."""
    return bilinear(
        form,
        of_x=partial(spread, setting),
        of_kernel=partial(turned, setting),
    )


def turned(setting: Setting, x, kernel):
    """The same with exchanged roles: x, with taps a stride apart, slides over the kernel.

    Transposed, dy slides over x: the gradient of the kernel of a convolution with this stride.
    """
    letters, axes = LETTERS[setting.axes], setting.axes
    reach = [s * (i - 1) for s, i in zip(setting.stride, setting.size, strict=True)]
    return lax.conv_general_dilated(
        kernel,
        jnp.flip(x, tuple(range(1, axes + 1))),
        (1,) * axes,
        [(r - low, r - high) for r, (low, high) in zip(reach, setting.pads, strict=True)],
        lhs_dilation=setting.dilation,
        rhs_dilation=setting.stride,
        dimension_numbers=(f"{letters}NC", f"O{letters}I", f"C{letters}N"),
    )


def parities(setting: Setting) -> Form:
    """Return one convolution that computes, at each place of x, all outputs of a stride there.

    An output a sees the taps u with a + p - u divisible by s: which, depends on a + p modulo s.
    The kernel is cut into those, padded to equally many, and what they give is put side by side.
    With a kernel as large as the stride this is one product.
    """
    axes, groups, stride = setting.axes, setting.groups, setting.stride
    taps = tuple(-(-k // s) for k, s in zip(setting.window, stride, strict=True))
    filters, c_in = setting.kernel[-2:]
    depth, many = c_in // groups, math.prod(stride)
    dense = Setting(
        shape=setting.shape,
        kernel=(*taps, depth, groups * many * filters),
        stride=(1,) * axes,
        pads=tuple((m - 1, m - 1) for m in taps),
        dilation=(1,) * axes,
        groups=groups,
    )
    form = cpu.choose(dense) or partial(native, dense)
    spatial = range(axes)

    def cut(kernel):
        more = [(0, m * s - k) for m, s, k in zip(taps, stride, setting.window, strict=True)]
        kernel = jnp.pad(kernel, [*more, (0, 0), (0, 0)])
        split = [n for pair in zip(taps, stride, strict=True) for n in pair]
        kernel = kernel.reshape(*split, filters, groups, depth)
        tap, parity = range(0, 2 * axes, 2), range(1, 2 * axes, 2)
        o, g, c = range(2 * axes, 2 * axes + 3)
        kernel = kernel.transpose(*tap, c, g, *parity, o).reshape(dense.kernel)
        return jnp.flip(kernel, tuple(spatial))

    def side_by_side(y):
        y = y.reshape(y.shape[0], *dense.out, groups, *stride, filters)
        place = range(1, axes + 1)
        order = [n for i in place for n in (i, i + axes + 1)]
        y = y.transpose(0, *order, axes + 1, 2 * axes + 2)
        whole = [q * s for q, s in zip(dense.out, stride, strict=True)]
        y = y.reshape(y.shape[0], *whole, groups * filters)
        ends = [
            (-low, low + o - n)
            for (low, _), o, n in zip(setting.pads, size(setting), whole, strict=True)
        ]
        return pad_zeros(y, ends)

    def convolve(x, kernel):
        return side_by_side(form(x, cut(kernel)))

    if groups > 1 or setting.window == stride:
        return convolve
    return with_fast_gradient(setting, convolve)


def over_time(setting: Setting, x, kernel):
    """Over three axes: each time of the window lays its own images on those of the output."""
    batch, frames = x.shape[:2]
    plane = Setting(
        shape=(batch * frames, *setting.size[1:], setting.c_in),
        kernel=setting.kernel[1:],
        stride=setting.stride[1:],
        pads=setting.pads[1:],
        dilation=setting.dilation[1:],
    )
    form = choose(plane) or partial(spread, plane)
    out, *image = size(setting)
    (low, _), apart, step = setting.pads[0], setting.dilation[0], setting.stride[0]
    images = x.reshape(plane.shape)

    def laid(time, part):
        y = form(images, part)
        y = y.reshape(batch, frames, *image, y.shape[-1])
        first = time * apart - low
        rest = out - first - (step * (frames - 1) + 1)
        config = [(0, 0, 0), (first, rest, step - 1), *((0, 0, 0),) * 3]
        return lax.pad(y, jnp.zeros((), y.dtype), config)

    return reduce(jnp.add, (laid(time, part) for time, part in enumerate(kernel)))
