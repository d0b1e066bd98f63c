"""Depthwise convolution as a sum of shifted products: each tap multiplies all channels at once.

Direct convolution with channels innermost, as in Zhang, Franchetti & Low 2018. Each filter reads
one channel, so there is no matrix to multiply by. Over channels-last arrays one loop adds up
x[..., i + u, j + v, :] w[u, v, :] over the taps, with the channels side by side in memory, where
XLA's own convolution goes through them one by one.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnlab.layers.chunking import largest_divisor
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients
from cnnlab.layers.convolution.padding import pad_constant

# A line of a feature map and its weights should stay in the innermost cache. Sums of so many
# numbers, or so many rows, XLA delegates to a library, at 30 microseconds a call: 20 times the
# time of the sum itself.
CHANNELS = 256
LINE = 4096
ROWS = 64


def select(spec: ConvSpec) -> Lowering | None:
    """Return the shifted products, where each filter reads one channel."""
    if spec.groups == 1 or spec.groups != spec.c_in:
        return None
    times = spec.c_out // spec.c_in
    one_each = spec._replace(shape=(*spec.shape[:-1], spec.c_out), groups=spec.c_out)
    product = with_gradients(
        partial(shifted_products, one_each),
        kernel=partial(line_by_line, one_each),
        input=partial(padded_products, one_each),
    )
    return lambda x, kernel: product(jnp.repeat(x, times, axis=-1) if times > 1 else x, kernel)


def shifted_products(spec: ConvSpec, x, kernel):
    """All taps in one loop over the output."""
    padded, over = spec.padded(x), spec.windows
    terms = (over.gather_tap(padded, tap) * kernel[tap] for tap in over.tap_indices())
    return sum(terms, start=jnp.zeros((), x.dtype))


def padded_products(spec: ConvSpec, x, kernel):
    """The same as a sum of shifted products at stride 1, of which every stride-th is taken.

    Its transpose reads one array, dy with zeros around it, at each tap. The transpose of
    `shifted_products` would add up arrays that are padded after their product, and there XLA
    computes dy, which may be expensive, again for every tap.
    """
    over = spec.windows
    ends = [k - 1 for k in over.spans]
    total = jnp.zeros((), x.dtype)
    for tap in over.tap_indices():
        at = [u * d for u, d in zip(tap, spec.dilation, strict=True)]
        around = [(end - a, a) for end, a in zip(ends, at, strict=True)]
        total = total + pad_constant(x * kernel[tap], around)
    pairs = zip(spec.pads, ends, strict=True)
    y = pad_constant(total, [(low - end, high - end) for (low, high), end in pairs])
    return over.gather_tap(y, (0,) * spec.axes)


def line_by_line(spec: ConvSpec, x, kernel):
    """The same, one line of the output after the other.

    Its transpose goes over the lines and adds up the gradient of each tap from values that are
    still in the cache, instead of reading all of x and dy again for every tap. Lines are slices
    of one image, not of all, since the gradient of a slice is as large as its operand.
    """
    padded = spec.padded(x)
    parts = [min(CHANNELS, spec.c_out - start) for start in range(0, spec.c_out, CHANNELS)]
    images, kernels = (lax.split(array, parts, x.ndim - 1) for array in (padded, kernel))
    pieces = zip(images, kernels, strict=True)
    return jnp.concatenate([_lines(spec, *piece) for piece in pieces], axis=-1)


def _lines(spec: ConvSpec, padded, kernel):
    *lead, long = spec.out
    channels, spans = padded.shape[-1], spec.windows.spans
    length = _length(long, channels)
    line = spec._replace(
        shape=(1, *spans[:-1], (length - 1) * spec.stride[-1] + spans[-1], 0),
        pads=((0, 0),) * spec.axes,
    )
    steps = (*spec.stride[:-1], spec.stride[-1] * length)
    # Each tap apart, so that its gradient is added up without the others'.
    weights = {tap: kernel[tap][0] for tap in spec.windows.tap_indices()}

    # Slices of a line are recomputed in the backward pass: cheap to take, large to keep.
    @jax.checkpoint
    def one(image, weights, place):
        start = [i * s for i, s in zip(place, steps, strict=True)]
        values = lax.dynamic_slice(image, (*start, 0), (*line.size, channels))
        terms = (line.windows.gather_tap(values[None], tap) * w for tap, w in weights.items())
        return sum(terms, start=jnp.zeros((), image.dtype)).reshape(length, channels)

    places = np.indices((*lead, long // length)).reshape(spec.axes, -1).T

    def image_by_image(_, image):
        return None, lax.scan(lambda _, place: (None, one(image, weights, place)), None, places)[1]

    y = lax.scan(image_by_image, None, padded)[1]
    return y.reshape(padded.shape[0], *spec.out, channels)


def _length(long: int, channels: int) -> int:
    """Return how many values to take at once: a divisor of `long`, with little in the cache."""
    length = largest_divisor(long, min(ROWS - 1, (LINE - 1) // channels))
    return length if length * 8 >= min(long, ROWS, LINE // channels) else long
