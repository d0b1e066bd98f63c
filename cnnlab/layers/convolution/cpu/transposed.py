"""Lowerings of transposed convolution for CPU: lhs-dilated, sub-pixel, and frame by frame.

XLA's own, a convolution over x with zeros between its values, is fast enough over one or two axes;
the gradient of its kernel is not, and over three axes neither is. With large strides it multiplies
mostly by zeros, which a sub-pixel convolution (Shi et al. 2016) does not.
"""

import math
from functools import partial, reduce

import jax.numpy as jnp
from jax import lax

from cnnlab.layers.convolution import cpu
from cnnlab.layers.convolution.cpu.conv_spec import LETTERS, ConvSpec, Lowering, native
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients
from cnnlab.layers.convolution.padding import pad_constant

# Outputs for each input from which multiplying by zeros costs more than rearranging the outputs.
MANY_PHASES = 9


def select_in_float32(spec: ConvSpec) -> Lowering | None:
    """Return a function of (x, kernel) that beats XLA's on CPU, or None.

    Args:
        spec: shapes of x [b, *spatial, c_in] and of the kernel [*window, c_out / groups, c_in];
            stride, pads (which may be negative), dilation and groups are those of the convolution
            whose adjoint this is.
    """
    lowering = select(spec)
    return None if lowering is None else cpu.in_float32(lowering)


def select(spec: ConvSpec) -> Lowering | None:
    """Return the lowering meant for these shapes, or None."""
    if math.prod(spec.shape) * math.prod(spec.kernel) == 0 or min(output_size(spec)) < 1:
        return None
    if max(spec.dilation) == 1 and (
        spec.groups > 1 or spec.window == spec.stride or (spec.axes < 3 and _many_phases(spec))
    ):
        return subpixel(spec)
    if spec.groups > 1:
        return None
    if spec.axes == 3:
        return partial(frame_by_frame, spec)
    return with_conv_gradients(spec, partial(lhs_dilated, spec))


def _many_phases(spec: ConvSpec) -> bool:
    even = all(k % s == 0 for k, s in zip(spec.window, spec.stride, strict=True))
    return even and math.prod(spec.stride) >= MANY_PHASES


def output_size(spec: ConvSpec) -> tuple[int, ...]:
    """Return the size of the output along each axis."""
    return tuple(
        s * (i - 1) + k - low - high
        for s, i, k, (low, high) in zip(
            spec.stride, spec.size, spec.windows.spans, spec.pads, strict=True
        )
    )


def lhs_dilated(spec: ConvSpec, x, kernel):
    """XLA's own: a convolution over x with zeros between its values."""
    letters, axes = LETTERS[spec.axes], range(spec.axes)
    ends = zip(spec.windows.spans, spec.pads, strict=True)
    return lax.conv_general_dilated(
        x,
        jnp.flip(kernel, tuple(axes)),
        (1,) * spec.axes,
        [(k - 1 - low, k - 1 - high) for k, (low, high) in ends],
        lhs_dilation=spec.stride,
        rhs_dilation=spec.dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}OI", f"N{letters}C"),
    )


def with_conv_gradients(spec: ConvSpec, lowering: Lowering) -> Lowering:
    """Return `lowering` with the gradients of the convolution that it is the adjoint of."""
    return with_gradients(
        lowering, input=partial(lhs_dilated, spec), kernel=partial(exchanged_operands, spec)
    )


def exchanged_operands(spec: ConvSpec, x, kernel):
    """The same with x as the kernel: x, with taps a stride apart, slides over the kernel.

    In the transpose dy slides over x: the gradient of the kernel of a convolution with this stride.
    """
    letters, axes = LETTERS[spec.axes], spec.axes
    extent = [s * (i - 1) for s, i in zip(spec.stride, spec.size, strict=True)]
    return lax.conv_general_dilated(
        kernel,
        jnp.flip(x, tuple(range(1, axes + 1))),
        (1,) * axes,
        [(e - low, e - high) for e, (low, high) in zip(extent, spec.pads, strict=True)],
        lhs_dilation=spec.dilation,
        rhs_dilation=spec.stride,
        dimension_numbers=(f"{letters}NC", f"O{letters}I", f"C{letters}N"),
    )


def subpixel(spec: ConvSpec) -> Lowering:
    """Return one convolution that computes, at each place of x, all outputs of a stride there.

    Shi et al. 2016 (real-time super-resolution by a sub-pixel convolution), section 2.2. An output
    a reads the taps u with a + p - u divisible by s: which, depends on the phase a + p modulo s.
    The kernel is split by phase, padded to equally many taps, and the outputs of all phases are
    interleaved. With a kernel as large as the stride this is one product.
    """
    axes, groups, stride = spec.axes, spec.groups, spec.stride
    taps = tuple(-(-k // s) for k, s in zip(spec.window, stride, strict=True))
    filters, c_in = spec.kernel[-2:]
    depth, phases = c_in // groups, math.prod(stride)
    dense = ConvSpec(
        shape=spec.shape,
        kernel=(*taps, depth, groups * phases * filters),
        stride=(1,) * axes,
        pads=tuple((m - 1, m - 1) for m in taps),
        dilation=(1,) * axes,
        groups=groups,
    )
    lowering = cpu.select(dense) or partial(native, dense)

    def split(kernel):
        more = [(0, m * s - k) for m, s, k in zip(taps, stride, spec.window, strict=True)]
        kernel = jnp.pad(kernel, [*more, (0, 0), (0, 0)])
        pairs = [n for pair in zip(taps, stride, strict=True) for n in pair]
        kernel = kernel.reshape(*pairs, filters, groups, depth)
        tap, phase = range(0, 2 * axes, 2), range(1, 2 * axes, 2)
        o, g, c = range(2 * axes, 2 * axes + 3)
        kernel = kernel.transpose(*tap, c, g, *phase, o).reshape(dense.kernel)
        return jnp.flip(kernel, tuple(range(axes)))

    def interleave(y):
        y = y.reshape(y.shape[0], *dense.out, groups, *stride, filters)
        place = range(1, axes + 1)
        order = [n for i in place for n in (i, i + axes + 1)]
        y = y.transpose(0, *order, axes + 1, 2 * axes + 2)
        full = [q * s for q, s in zip(dense.out, stride, strict=True)]
        y = y.reshape(y.shape[0], *full, groups * filters)
        ends = [
            (-low, low + o - n)
            for (low, _), o, n in zip(spec.pads, output_size(spec), full, strict=True)
        ]
        return pad_constant(y, ends)

    def convolve(x, kernel):
        return interleave(lowering(x, split(kernel)))

    if groups > 1 or spec.window == stride:
        return convolve
    return with_conv_gradients(spec, convolve)


def frame_by_frame(spec: ConvSpec, x, kernel):
    """Over three axes: each time of the window adds its own images to those of the output."""
    batch, frames = x.shape[:2]
    plane = ConvSpec(
        shape=(batch * frames, *spec.size[1:], spec.c_in),
        kernel=spec.kernel[1:],
        stride=spec.stride[1:],
        pads=spec.pads[1:],
        dilation=spec.dilation[1:],
    )
    lowering = select(plane) or partial(lhs_dilated, plane)
    out, *image = output_size(spec)
    (low, _), apart, step = spec.pads[0], spec.dilation[0], spec.stride[0]
    images = x.reshape(plane.shape)

    def placed(time, part):
        y = lowering(images, part)
        y = y.reshape(batch, frames, *image, y.shape[-1])
        first = time * apart - low
        rest = out - first - (step * (frames - 1) + 1)
        config = [(0, 0, 0), (first, rest, step - 1), *((0, 0, 0),) * 3]
        return lax.pad(y, jnp.zeros((), y.dtype), config)

    return reduce(jnp.add, (placed(time, part) for time, part in enumerate(kernel)))
