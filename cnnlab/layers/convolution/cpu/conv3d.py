"""3-D convolution as 2-D convolutions of frames; XLA's own over three axes is a plain loop.

The separation by time is that of Ji et al. 2013, equation 2: a window over time, height and width
is a sum of windows over height and width, one for each of its times. The frames that one time of
the window reads, of all clips, are one batch of images.
"""

from collections.abc import Callable
from functools import partial, reduce

import jax.numpy as jnp

from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering, native

# Up to this many channels, times become channels of one convolution: else its products are thin.
FEW_CHANNELS = 16


def select(spec: ConvSpec, select_2d: Callable[[ConvSpec], Lowering | None]) -> Lowering | None:
    """Return 2-D convolutions, each as `select_2d` lowers it, for one over three axes."""
    if spec.axes != 3 or spec.groups > 1:
        return None
    times, frames = spec.window[0], spec.out[0]
    stack = spec.c_in <= FEW_CHANNELS
    channels = spec.c_in * (times if stack else 1)
    plane = ConvSpec(
        shape=(spec.shape[0] * frames, *spec.size[1:], channels),
        kernel=(*spec.window[1:], channels, spec.c_out),
        stride=spec.stride[1:],
        pads=spec.pads[1:],
        dilation=spec.dilation[1:],
    )
    lowering = select_2d(plane) or partial(native, plane)
    along_time = spec._replace(
        kernel=(times, 1, 1, *spec.kernel[-2:]),
        stride=(spec.stride[0], 1, 1),
        pads=(spec.pads[0], (0, 0), (0, 0)),
        dilation=(spec.dilation[0], 1, 1),
    )

    def convolve(x, kernel):
        combine = time_as_channels if stack else sum_over_time
        y = combine(lowering, plane, along_time.gather_taps(x), kernel)
        return y.reshape(x.shape[0], frames, *y.shape[1:])

    return convolve


def time_as_channels(lowering: Lowering, plane: ConvSpec, frames: list, kernel):
    """One convolution over the channels of all times of a window side by side."""
    kernel = jnp.moveaxis(kernel, 0, -3).reshape(plane.kernel)
    return lowering(jnp.concatenate(frames, axis=-1).reshape(plane.shape), kernel)


def sum_over_time(lowering: Lowering, plane: ConvSpec, frames: list, kernel):
    """The sum of one convolution for each time of a window."""
    return reduce(
        jnp.add,
        (lowering(x.reshape(plane.shape), part) for x, part in zip(frames, kernel, strict=True)),
    )
