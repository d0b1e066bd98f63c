"""Depthwise convolution as shifted products: each tap multiplies all channels at once.

Each filter sees one channel, so there is no matrix to multiply by. Over channels-last arrays one
loop adds up x[..., i + u, j + v, :] w[u, v, :] over the taps, with the channels side by side in
memory, where XLA's own convolution goes through them one by one.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting, pad_zeros
from cnnlab.layers.convolution.cpu.with_gradients import bilinear

# A line of a feature map, and what it is multiplied by, should stay in the innermost cache. Sums of
# so many numbers, or so many rows, XLA hands to a library, at 30 microseconds a call: 20 times what
# these take.
CHANNELS = 256
LINE = 4096
ROWS = 64


def pick(setting: Setting) -> Form | None:
    """Return the shifted products, where each filter sees one channel."""
    if setting.groups == 1 or setting.groups != setting.c_in:
        return None
    times = setting.c_out // setting.c_in
    one_each = setting._replace(shape=(*setting.shape[:-1], setting.c_out), groups=setting.c_out)
    product = bilinear(
        partial(shifted, one_each),
        of_kernel=partial(line_by_line, one_each),
        of_x=partial(moved, one_each),
    )
    return lambda x, kernel: product(jnp.repeat(x, times, axis=-1) if times > 1 else x, kernel)


def shifted(setting: Setting, x, kernel):
    """All taps in one loop over the output."""
    padded = setting.padded(x)
    terms = (setting.seen(padded, tap) * kernel[tap] for tap in setting.taps())
    return sum(terms, start=jnp.zeros((), x.dtype))


def moved(setting: Setting, x, kernel):
    """The same, products moved and added up, of which every stride-th is taken.

    Transposed, one array dy with zeros around it is read at each tap. The transpose of `shifted`
    would add up arrays that are padded after their product, and there XLA computes dy, which may
    be long to compute, anew for every tap.
    """
    ends = [k - 1 for k in setting.spans]
    total = jnp.zeros((), x.dtype)
    for tap in setting.taps():
        at = [u * d for u, d in zip(tap, setting.dilation, strict=True)]
        around = [(end - a, a) for end, a in zip(ends, at, strict=True)]
        total = total + pad_zeros(x * kernel[tap], around)
    pairs = zip(setting.pads, ends, strict=True)
    y = pad_zeros(total, [(low - end, high - end) for (low, high), end in pairs])
    return setting.seen(y, (0,) * setting.axes)


def line_by_line(setting: Setting, x, kernel):
    """The same, line after line of the output.

    Transposed, this goes over the lines and adds up the gradient of each tap from values that are
    still in the cache, instead of reading all of x and dy again for every tap. Lines are taken out
    of one image, not of all, since the gradient of a slice is as large as what it is taken from.
    """
    padded = setting.padded(x)
    parts = [min(CHANNELS, setting.c_out - start) for start in range(0, setting.c_out, CHANNELS)]
    images, kernels = (lax.split(array, parts, x.ndim - 1) for array in (padded, kernel))
    pieces = zip(images, kernels, strict=True)
    return jnp.concatenate([_lines(setting, *piece) for piece in pieces], axis=-1)


def _lines(setting: Setting, padded, kernel):
    *lead, long = setting.out
    channels = padded.shape[-1]
    length = _length(long, channels)
    line = setting._replace(
        shape=(1, *setting.spans[:-1], (length - 1) * setting.stride[-1] + setting.spans[-1], 0)
    )
    line = line._replace(pads=((0, 0),) * setting.axes)
    steps = (*setting.stride[:-1], setting.stride[-1] * length)
    # Each tap apart, so that its gradient is added up without the others'.
    weights = {tap: kernel[tap][0] for tap in setting.taps()}

    # What a line is made of is cheap to take again and large to keep.
    @jax.checkpoint
    def one(image, weights, place):
        start = [i * s for i, s in zip(place, steps, strict=True)]
        values = lax.dynamic_slice(image, (*start, 0), (*line.size, channels))
        terms = (line.seen(values[None], tap) * w for tap, w in weights.items())
        return sum(terms, start=jnp.zeros((), image.dtype)).reshape(length, channels)

    places = np.indices((*lead, long // length)).reshape(setting.axes, -1).T

    def image_by_image(_, image):
        return None, lax.scan(lambda _, place: (None, one(image, weights, place)), None, places)[1]

    y = lax.scan(image_by_image, None, padded)[1]
    return y.reshape(padded.shape[0], *setting.out, channels)


def _length(long: int, channels: int) -> int:
    """Return how many values to take at once: a divisor of `long`, with little in the cache."""
    fits = [n for n in range(1, long + 1) if long % n == 0 and n < ROWS and n * channels < LINE]
    most = min(long, ROWS, LINE // channels)
    return fits[-1] if fits and fits[-1] * 8 >= most else long
