"""3x3 convolution by Winograd's minimal filtering: 2.25 times fewer multiplications.

Lavin & Gray 2016, F(2x2, 3x3), equations 8 and 9. Outputs are made in tiles of 2x2. A tile reads
4x4 values d of each channel; with the kernels g [3x3] and the sum over channels inside,

    Y = A^T [ (G g G^T) * (B^T d B) ] A

where * multiplies number by number. Over channels and tiles it is 16 products of matrices: [tiles,
c_in] times [c_in, c_out]. Numbers are rounded some more times than in the sum over the window:
errors are about twice as large. A value that is infinite or NaN makes all outputs of its tiles NaN.
"""

import math
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import lax

from cnnlab.layers.chunking import largest_divisor
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering, native
from cnnlab.layers.convolution.padding import pad_constant
from cnnlab.layers.convolution.windows import Windows

# With fewer channels the products are thin, and the sums around them take as long.
CHANNELS = 32
# With fewer tiles for each channel the kernels take longer to transform than the products save.
TILES = 8
# Transformed values of a chunk, in numbers: larger arrays leave the cache.
MOST = 2**18
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def fits(spec: ConvSpec) -> bool:
    """Return whether the convolution is one that gains."""
    once = spec.axes == 2 and max(*spec.stride, *spec.dilation, spec.groups) == 1
    if not once or spec.window != (3, 3) or min(spec.c_in, spec.c_out) < CHANNELS:
        return False
    return spec.shape[0] * math.prod(_tiles(spec)) >= TILES * max(spec.c_in, spec.c_out)


def winograd(spec: ConvSpec) -> Lowering:
    """Return the convolution, for chunks of images."""

    def lowering(x, kernel):
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return native(spec, x, kernel)
        return _in_chunks(partial(_convolve, spec), spec, x, _transform_kernel(kernel))

    return lowering


def winograd_transposed(spec: ConvSpec) -> Lowering:
    """Return the same product, whose transpose is computed as `winograd` does it.

    The gradient of x is the convolution of dy with the kernel rotated by 180 degrees. This is that
    algorithm written backwards, each step the transpose of one there.
    """

    def lowering(x, kernel):
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return native(spec, x, kernel)
        rotated = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
        return _in_chunks(partial(_convolve_t, spec), spec, x, _transform_kernel(rotated))

    return lowering


def _tiles(spec: ConvSpec) -> tuple[int, ...]:
    return tuple(-(-n // 2) for n in spec.out)


def _transform_kernel(kernel):
    """G g G^T [16, c_in, c_out]."""
    g = jnp.asarray(G, kernel.dtype)
    u = jnp.einsum("iu,jv,uvco->ijco", g, g, kernel, precision="highest")
    return u.reshape(16, *kernel.shape[2:])


def _in_chunks(product, spec: ConvSpec, x, u):
    batch = x.shape[0]
    each = 16 * math.prod(_tiles(spec)) * max(spec.c_in, spec.c_out)
    size = largest_divisor(batch, MOST // each)
    if size == batch:
        return product(x, u)
    y = lax.map(lambda chunk: product(chunk, u), x.reshape(-1, size, *x.shape[1:]))
    return y.reshape(batch, *y.shape[2:])


def _transform_input(d):
    """B^T d of four arrays."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _transform_output(m):
    """A^T m of four arrays."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _transform_input_t(v):
    """B v: the transpose of `_transform_input`."""
    return [v[0], v[1] - v[2] + v[3], v[1] + v[2] - v[0], -v[3]]


def _transform_output_t(y):
    """A y: the transpose of `_transform_output`."""
    return [y[0], y[0] + y[1], y[0] - y[1], -y[1]]


def _along_both(transform, arrays):
    """Transform arrays [i][j] along i and along j."""
    rows = [transform(list(column)) for column in zip(*arrays, strict=True)]
    return [transform(list(row)) for row in zip(*rows, strict=True)]


def _products(arrays, u):
    """Return arrays [4][4] of [b, h, w, c], each times its matrix."""
    shape = arrays[0][0].shape
    v = jnp.stack([a for row in arrays for a in row]).reshape(16, -1, shape[-1])
    m = lax.dot_general(v, u, (((2,), (1,)), ((0,), (0,))))
    parts = [part.reshape(*shape[:-1], -1) for part in lax.split(m, (1,) * 16)]
    return [parts[4 * i : 4 * i + 4] for i in range(4)]


def _convolve(spec: ConvSpec, x, u):
    batch, (height, width), (high, wide) = x.shape[0], spec.out, _tiles(spec)
    # Zeros for the outputs that fill up the last tiles.
    more = ((0, 2 * high - height), (0, 2 * wide - width))
    padded = pad_constant(spec.padded(x), more)
    tiles = Windows(padded.shape[1:3], (4, 4), (2, 2), (1, 1), ((0, 0), (0, 0)))
    d = [[tiles.gather_tap(padded, (i, j)) for j in range(4)] for i in range(4)]
    y = _along_both(_transform_output, _products(_along_both(_transform_input, d), u))
    y = jnp.stack([jnp.stack(row, axis=3) for row in y], axis=2)
    y = y.reshape(batch, 2 * high, 2 * wide, spec.c_out)
    return y[:, :height, :width]


def _parity(d, p: int, q: int) -> list:
    """Return the values of tiles in rows of parity p and columns of parity q, at their places."""
    places = ((a, b) for a in range(2) for b in range(2))
    return [pad_constant(d[2 * a + p][2 * b + q], ((a, 1 - a), (b, 1 - b))) for a, b in places]


def _convolve_t(spec: ConvSpec, x, u):
    # Tiles of x, which in the transpose is the output.
    batch, size = x.shape[0], spec.size
    high, wide = (-(-n // 2) for n in size)
    x = pad_constant(x, [(0, 2 * t - n) for t, n in zip((high, wide), size, strict=True)])
    tiles = x.reshape(batch, high, 2, wide, 2, -1)
    split = [lax.split(row, (1, 1), 4) for row in lax.split(tiles, (1, 1), 2)]
    y = [[a.reshape(batch, high, wide, -1) for a in row] for row in split]
    products = _products(_along_both(_transform_output_t, y), u.swapaxes(1, 2))
    d = _along_both(_transform_input_t, products)
    # Row i = 2 a + p of a tile is row a + (its tile) of those with parity p; columns likewise.
    parities = [[sum(_parity(d, p, q)) for q in range(2)] for p in range(2)]
    total = jnp.stack([jnp.stack(row, axis=3) for row in parities], axis=2)
    total = total.reshape(batch, 2 * high + 2, 2 * wide + 2, -1)
    # At n the window of dy begins (2 - low) zeros before it.
    ends = [
        (low - 2, o - (2 * t + 2) - (low - 2))
        for (low, _), o, t in zip(spec.pads, spec.out, (high, wide), strict=True)
    ]
    return pad_constant(total, ends)
