"""3-D convolution as 2-D convolutions: XLA's own over three axes goes in plain loops.

A window over time, height and width is a window over height and width at each of its times. What
these see of all clips and times stands in one batch of images.
"""

from collections.abc import Callable
from functools import partial, reduce

import jax.numpy as jnp

from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting, native

# Up to this many channels times become channels of one convolution, which few would make thin.
FEW_CHANNELS = 16


def pick(setting: Setting, choose: Callable[[Setting], Form | None]) -> Form | None:
    """Return 2-D convolutions, in the form that `choose` gives, for one over three axes."""
    if setting.axes != 3 or setting.groups > 1:
        return None
    times, frames = setting.window[0], setting.out[0]
    fold = setting.c_in <= FEW_CHANNELS
    channels = setting.c_in * (times if fold else 1)
    plane = Setting(
        shape=(setting.shape[0] * frames, *setting.size[1:], channels),
        kernel=(*setting.window[1:], channels, setting.c_out),
        stride=setting.stride[1:],
        pads=setting.pads[1:],
        dilation=setting.dilation[1:],
    )
    form = choose(plane) or partial(native, plane)
    along = setting._replace(
        kernel=(times, 1, 1, *setting.kernel[-2:]),
        stride=(setting.stride[0], 1, 1),
        pads=(setting.pads[0], (0, 0), (0, 0)),
        dilation=(setting.dilation[0], 1, 1),
    )

    def convolve(x, kernel):
        padded = along.padded(x)
        seen = [along.seen(padded, tap) for tap in along.taps()]
        y = (folded if fold else summed)(form, plane, seen, kernel)
        return y.reshape(x.shape[0], frames, *y.shape[1:])

    return convolve


def folded(form: Form, plane: Setting, seen: list, kernel):
    """One convolution that takes the channels of all times of a window side by side."""
    together = jnp.moveaxis(kernel, 0, -3).reshape(plane.kernel)
    return form(jnp.concatenate(seen, axis=-1).reshape(plane.shape), together)


def summed(form: Form, plane: Setting, seen: list, kernel):
    """The sum over the times of a window of a convolution each."""
    return reduce(
        jnp.add,
        (form(x.reshape(plane.shape), part) for x, part in zip(seen, kernel, strict=True)),
    )
