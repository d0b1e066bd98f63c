"""Grouped convolution in dense products and convolutions, several groups or one at a time.

XLA's own goes through a grouped convolution in plain loops, and through its gradients too. Groups
of few channels, at stride 1, are matrix products of rows and columns of windows; all others are one
dense convolution for each block of groups, whose kernel is zero between them.
"""

import math
from collections.abc import Callable
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting, native, pad_zeros
from cnnlab.layers.convolution.cpu.with_gradients import bilinear

# Channels of a block; more groups in it multiply by more zeros.
CHANNELS = 32
# Up to this many channels and filters of a group, copies and products beat a convolution.
FEW = 16
# Windows taken at once, in numbers: larger arrays leave the cache.
MOST = 2**17


def pick(setting: Setting, choose: Callable[[Setting], Form | None]) -> Form | None:
    """Return products for each group, or a convolution for each block as `choose` gives it."""
    if setting.groups == 1:
        return None
    if _thin(setting):
        return bilinear(
            partial(each_group, setting, by_columns),
            of_kernel=partial(each_group, setting, by_windows),
            of_x=partial(each_group, setting, by_rows),
        )
    together = per_block(setting)
    blocks = setting.groups // together
    part = setting._replace(
        shape=(*setting.shape[:-1], setting.c_in // blocks),
        kernel=(*setting.window, setting.c_in // blocks, setting.c_out // blocks),
        groups=1,
    )
    form = choose(part) or partial(native, part)

    def convolve(x, kernel):
        # The transpose of a split is one concatenation; that of a slice would be a sum of arrays
        # as large as x.
        inputs = lax.split(x, (part.c_in,) * blocks, x.ndim - 1)
        kernels = block_kernels(kernel, setting.groups, together)
        return jnp.concatenate([form(*pair) for pair in zip(inputs, kernels, strict=True)], axis=-1)

    return convolve


def _thin(setting: Setting) -> bool:
    """Whether it has few channels, and windows side by side over two axes."""
    few = max(setting.c_in, setting.c_out) <= FEW * setting.groups
    once = setting.axes == 2 and max(*setting.stride, *setting.dilation) == 1
    return few and once and max(setting.window) > 1


def each_group(setting: Setting, product: Callable, x, kernel):
    """Apply `product` to some groups, or to a part of the batch of one, after the other."""
    depth, filters = setting.kernel[2], setting.c_out // setting.groups
    batch, groups = setting.shape[0], setting.groups
    each = math.prod(setting.out) * math.prod(setting.window) * depth
    size = most(batch, MOST // each)
    together = most(groups, MOST // (each * size)) if size == batch else 1

    inputs = x.reshape(batch // size, size, *setting.size, groups, depth)
    inputs = inputs.transpose(4, 0, 1, 2, 3, 5).reshape(-1, together, size, *setting.size, depth)
    kernels = kernel.reshape(*setting.kernel[:3], groups, filters).transpose(3, 0, 1, 2, 4)
    kernels = jnp.repeat(kernels, batch // size, axis=0)
    kernels = kernels.reshape(-1, together, *kernels.shape[1:])
    # The windows are quick to make again and large to keep.
    form = jax.checkpoint(partial(product, setting), prevent_cse=False)
    if len(inputs) == 1:
        y = product(setting, inputs[0], kernels[0])
    else:
        y = lax.map(lambda pair: form(*pair), (inputs, kernels))
    y = y.reshape(groups, batch, *setting.out, filters)
    return y.transpose(1, 2, 3, 0, 4).reshape(batch, *setting.out, setting.c_out)


def most(number: int, limit: int) -> int:
    """Return the largest divisor of a number up to a limit, or one."""
    return max(n for n in range(1, number + 1) if number % n == 0 and n <= max(1, limit))


def by_columns(setting: Setting, x, kernel):
    """Columns of windows of x [g, b, h, w, c] times kernels [g, kh, kw, c, f], then rows summed.

    One copy of x for each column of the window, and a product for each row: the fastest for values.
    """
    groups, (kh, kw), (height, width) = x.shape[0], setting.window, setting.out
    x = _padded(x, setting.pads)
    columns = jnp.concatenate([x[:, :, :, j : j + width] for j in range(kw)], axis=-1)
    matrix = kernel.transpose(0, 1, 4, 2, 3).reshape(groups, -1, columns.shape[-1])
    rows = lax.split(_rows_times(columns, matrix), (kernel.shape[-1],) * kh, 4)
    return reduce(jnp.add, [row[:, :, i : i + height] for i, row in enumerate(rows)])


def by_rows(setting: Setting, x, kernel):
    """The same: x moved by each row of the window times kernels, then moved by columns and summed.

    Slow, but its transpose is to dy what `by_columns` is to x: a sum of pads becomes slices of the
    padded dy, a split of the product a concatenation of its factor.
    """
    (groups, depth), (kh, kw), filters = (x.shape[0], x.shape[-1]), setting.window, kernel.shape[-1]
    moved = [_padded(x, ((kh - 1 - i, i), (0, 0))) for i in range(kh)]
    matrix = kernel.transpose(0, 2, 4, 1, 3).reshape(groups, kw * filters, kh * depth)
    parts = lax.split(_rows_times(jnp.concatenate(moved, axis=-1), matrix), (filters,) * kw, 4)
    ends = [((0, 0), (kw - 1 - j, j)) for j in range(kw)]
    y = reduce(jnp.add, [_padded(*pair) for pair in zip(parts, ends, strict=True)])
    pairs = zip(setting.window, setting.pads, strict=True)
    return _padded(y, [(low - k + 1, high - k + 1) for k, (low, high) in pairs])


def by_windows(setting: Setting, x, kernel):
    """The same: whole windows (im2col) times kernels, the fastest for the kernel's gradient."""
    groups, (kh, kw), (height, width) = x.shape[0], setting.window, setting.out
    x = _padded(x, setting.pads)
    # Columns first: what is copied most is then copied in long runs.
    windows = jnp.concatenate([x[:, :, :, j : j + width] for j in range(kw)], axis=-1)
    windows = jnp.concatenate([windows[:, :, i : i + height] for i in range(kh)], axis=-1)
    matrix = kernel.transpose(0, 4, 1, 2, 3).reshape(groups, -1, windows.shape[-1])
    return _rows_times(windows, matrix)


def _rows_times(rows, matrix):
    """Return rows [g, *any, n] times matrices [g, m, n], transposed.

    With m first XLA's product for the gradient of the matrix is twice as fast.
    """
    flat = rows.reshape(rows.shape[0], -1, rows.shape[-1])
    y = lax.dot_general(flat, matrix, (((2,), (2,)), ((0,), (0,))))
    return y.reshape(*rows.shape[:-1], -1)


def _padded(x, pads):
    """Return x [g, b, h, w, c] with (low, high) zeros, or fewer values, along h and w."""
    return pad_zeros(x, [(0, 0), *pads])


def per_block(setting: Setting) -> int:
    """Return how many groups share a convolution: a divisor of their number."""
    most = max(1, CHANNELS * setting.groups // setting.c_in)
    return max(n for n in range(1, setting.groups + 1) if setting.groups % n == 0 and n <= most)


def block_kernels(kernel, groups: int, together: int) -> list:
    """Return the dense kernel of each block: [*window, n c_of_group, n filters], diagonal in n."""
    *window, depth, filters = kernel.shape
    wide = filters // groups
    blocks = lax.split(kernel, (wide * together,) * (groups // together), kernel.ndim - 1)
    if together == 1:
        return list(blocks)
    same = jnp.eye(together, dtype=bool)[:, None, :, None]
    shape = (*window, together * depth, together * wide)
    apart = [block.reshape(*window, 1, depth, together, wide) for block in blocks]
    return [jnp.where(same, block, 0).reshape(shape) for block in apart]
