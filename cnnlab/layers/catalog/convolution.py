"""Catalog entries: convolution over one to three axes, and its special cases."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.layers.catalog.layer import Layer, normal
from cnnlab.layers.convolution.conv import Conv, conv
from cnnlab.layers.convolution.im2col import conv_im2col
from cnnlab.layers.convolution.inflation import inflate

PAPER = "LeCun et al. 1998, section II.A"
GUIDE = "Dumoulin & Visin 2016"
SUM = "y[i, j, o] = b[o] + sum over u, v, c of x[{}] w[u, v, c, o]"
IMAGE = np.arange(1.0, 10, dtype=np.float32).reshape(1, 3, 3, 1)
KERNEL = np.arange(1.0, 5, dtype=np.float32).reshape(2, 2, 1, 1)


def worked(x, kernel, expected, *, function=conv, **keywords) -> tuple[Any, Any]:
    """Return the convolution without padding of `x` with `kernel`, and the expected values."""
    y = function(jnp.asarray(x), jnp.asarray(kernel), padding="VALID", **keywords)
    return y.ravel(), np.asarray(expected, np.float32)


def clip() -> tuple[Any, Any]:
    """Return the response of an inflated kernel to a clip of one image, and the image's."""
    still = np.stack([IMAGE, IMAGE], axis=1)
    return worked(still, inflate(jnp.asarray(KERNEL), 2), [37, 47, 67, 77])


def line(*values: int) -> np.ndarray:
    """Return a signal of one channel; as a kernel, one filter of it."""
    return np.asarray(values, np.float32)[None, :, None]


ENTRIES = {
    "conv": Layer(
        module=lambda: Conv(4, (3, 3)),
        inputs=normal(6, 6, 3),
        paper=PAPER,
        formula=SUM.format("i + u - p, j + v - p, c"),
        example=partial(worked, IMAGE, KERNEL, [37, 47, 67, 77]),
    ),
    "conv1d": Layer(
        module=lambda: Conv(4, (3,)),
        inputs=normal(9, 3),
        paper="Waibel et al. 1989 (time-delay network)",
        formula="y[t, o] = b[o] + sum over u, c of x[t + u - p, c] w[u, c, o]",
        example=partial(worked, line(1, 2, 4, 8), line(1, -1)[0, :, :, None], [-1, -2, -4]),
    ),
    "conv3d": Layer(
        module=lambda: Conv(2, (3, 3, 3), stride=(1, 2, 2)),
        inputs=normal(3, 6, 6, 2),
        paper="Ji et al. 2013; Tran et al. 2015; inflated: Carreira & Zisserman 2017",
        formula="y[t, i, j, o] = b[o] + sum over r, u, v, c of x[t + r, i + u, j + v, c] "
        "w[r, u, v, c, o]",
        example=clip,
    ),
    "conv_1x1": Layer(
        module=lambda: Conv(4, (1, 1)),
        inputs=normal(5, 5, 3),
        paper="Lin et al. 2014 (Network in Network), section 3",
        formula="y[i, j, o] = b[o] + sum over c of x[i, j, c] w[c, o]",
        example=partial(
            worked,
            np.asarray([1, 2, 3, 4], np.float32).reshape(1, 1, 2, 2),
            np.asarray([[1, 0, 1], [1, 2, 0]], np.float32)[None, None],
            [3, 4, 1, 7, 8, 3],
        ),
    ),
    "conv_strided": Layer(
        module=lambda: Conv(4, (3, 3), stride=2),
        inputs=normal(7, 7, 3),
        paper=f"{GUIDE}, relationship 5; Springenberg et al. 2015",
        formula=SUM.format("s i + u - p, s j + v - p, c"),
        example=partial(worked, line(1, 2, 3, 4, 5), line(1, 1)[0, :, :, None], [3, 7], stride=2),
    ),
    "conv_dilated": Layer(
        module=lambda: Conv(4, (3, 3), dilation=2),
        inputs=normal(7, 7, 3),
        paper=f"Yu & Koltun 2016, equation 2; {GUIDE}, relationship 15",
        formula=SUM.format("i + d u - p, j + d v - p, c"),
        example=partial(
            worked,
            line(1, 2, 3, 4, 5, 6, 7),
            line(1, 0, -1)[0, :, :, None],
            [-4, -4, -4],
            dilation=2,
        ),
    ),
    "conv_circular": Layer(
        module=lambda: Conv(4, (3, 3), padding_mode="circular"),
        inputs=normal(6, 6, 3),
        paper="Schubert et al. 2019",
        formula="as conv, with x[i mod h, j mod w, c] beyond the border",
        example=lambda: (
            conv(
                jnp.asarray(line(1, 2, 4)),
                jnp.asarray(line(1, 0, 1)[0, :, :, None]),
                padding_mode="circular",
            ).ravel(),
            np.asarray([6, 5, 3], np.float32),
        ),
    ),
    "conv_grouped": Layer(
        module=lambda: Conv(6, (3, 3), groups=2),
        inputs=normal(6, 6, 4),
        paper="Krizhevsky et al. 2012, section 3.5; Xie et al. 2017",
        formula="group g of filters sees channels g c_in / G to (g + 1) c_in / G alone",
        example=partial(
            worked,
            np.asarray([1, 2, 3, 4], np.float32).reshape(1, 1, 1, 4),
            np.asarray([[1, 2, 3, 4], [1, 0, 1, 0]], np.float32)[None, None],
            [3, 2, 13, 12],
            groups=2,
        ),
    ),
    "conv_im2col": Layer(
        module=lambda: Conv(4, (3, 3), stride=2, convolve=conv_im2col),
        inputs=normal(6, 6, 3),
        paper="Chellapilla et al. 2006, section 3",
        formula="Y = P W + b, a row of P for each window, a column of W for each filter",
        example=partial(
            worked,
            IMAGE,
            KERNEL,
            [37, 47, 67, 77],
            function=jax.jit(conv_im2col, static_argnames="padding"),
        ),
    ),
}
