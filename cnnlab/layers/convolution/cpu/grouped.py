"""Grouped convolution (Krizhevsky et al. 2012) as dense products and block-diagonal convolutions.

XLA computes a grouped convolution and its gradients in plain loops. Groups of few channels, at
stride 1, are matrix products of rows and columns of windows, as the grouped im2col of Gibson et al.
2020; all others are one dense convolution for each block of groups, whose kernel is block-diagonal.
"""

import math
from collections.abc import Callable
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

from cnnlab.layers.chunking import largest_divisor
from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec, Lowering, native
from cnnlab.layers.convolution.cpu.with_gradients import with_gradients
from cnnlab.layers.convolution.padding import pad_constant

# Channels of a block; more groups in it multiply by more zeros.
CHANNELS = 32
# Up to this many channels and filters of a group, copies and products beat a convolution.
FEW = 16
# Values of the windows of a chunk: larger arrays leave the cache.
MOST = 2**17


def select(spec: ConvSpec, select_dense: Callable[[ConvSpec], Lowering | None]) -> Lowering | None:
    """Return products for each group, or a convolution for each block by `select_dense`."""
    if spec.groups == 1:
        return None
    if _thin(spec):
        return with_gradients(
            partial(groups_in_chunks, spec, columns_then_rows),
            kernel=partial(groups_in_chunks, spec, im2col),
            input=partial(groups_in_chunks, spec, rows_then_columns),
        )
    together = groups_per_block(spec)
    blocks = spec.groups // together
    block = spec._replace(
        shape=(*spec.shape[:-1], spec.c_in // blocks),
        kernel=(*spec.window, spec.c_in // blocks, spec.c_out // blocks),
        groups=1,
    )
    lowering = select_dense(block) or partial(native, block)

    def convolve(x, kernel):
        # The transpose of a split is one concatenation; that of slices would be a sum of arrays
        # as large as x.
        inputs = lax.split(x, (block.c_in,) * blocks, x.ndim - 1)
        kernels = block_diagonal(kernel, spec.groups, together)
        pairs = zip(inputs, kernels, strict=True)
        return jnp.concatenate([lowering(*pair) for pair in pairs], axis=-1)

    return convolve


def _thin(spec: ConvSpec) -> bool:
    """Whether it has few channels, and windows side by side over two axes."""
    few = max(spec.c_in, spec.c_out) <= FEW * spec.groups
    once = spec.axes == 2 and max(*spec.stride, *spec.dilation) == 1
    return few and once and max(spec.window) > 1


def groups_in_chunks(spec: ConvSpec, product: Callable, x, kernel):
    """Apply `product` to some groups at a time, or to a part of the batch of one."""
    depth, filters = spec.kernel[2], spec.c_out // spec.groups
    batch, groups = spec.shape[0], spec.groups
    each = math.prod(spec.out) * math.prod(spec.window) * depth
    size = largest_divisor(batch, MOST // each)
    together = largest_divisor(groups, MOST // (each * size)) if size == batch else 1

    inputs = x.reshape(batch // size, size, *spec.size, groups, depth)
    inputs = inputs.transpose(4, 0, 1, 2, 3, 5).reshape(-1, together, size, *spec.size, depth)
    kernels = kernel.reshape(*spec.kernel[:3], groups, filters).transpose(3, 0, 1, 2, 4)
    kernels = jnp.repeat(kernels, batch // size, axis=0)
    kernels = kernels.reshape(-1, together, *kernels.shape[1:])
    # Windows are recomputed in the backward pass: quick to make, large to keep.
    lowering = jax.checkpoint(partial(product, spec), prevent_cse=False)
    if len(inputs) == 1:
        y = product(spec, inputs[0], kernels[0])
    else:
        y = lax.map(lambda pair: lowering(*pair), (inputs, kernels))
    y = y.reshape(groups, batch, *spec.out, filters)
    return y.transpose(1, 2, 3, 0, 4).reshape(batch, *spec.out, spec.c_out)


def columns_then_rows(spec: ConvSpec, x, kernel):
    """Columns of windows of x [g, b, h, w, c] times kernels [g, kh, kw, c, f], then rows summed.

    One copy of x for each column of the window, and a product for each row: the fastest for values.
    """
    groups, (kh, kw), (height, width) = x.shape[0], spec.window, spec.out
    x = pad_constant(x, spec.pads)
    columns = jnp.concatenate([x[:, :, :, j : j + width] for j in range(kw)], axis=-1)
    matrix = kernel.transpose(0, 1, 4, 2, 3).reshape(groups, -1, columns.shape[-1])
    rows = lax.split(_batch_matmul(columns, matrix), (kernel.shape[-1],) * kh, 4)
    return reduce(jnp.add, [row[:, :, i : i + height] for i, row in enumerate(rows)])


def rows_then_columns(spec: ConvSpec, x, kernel):
    """The same with rows of windows of x times kernels, then columns shifted and summed.

    Slow, but its transpose is to dy what `columns_then_rows` is to x: a sum of pads becomes slices
    of the padded dy, a split of the product a concatenation of its factor.
    """
    (groups, depth), (kh, kw), filters = (x.shape[0], x.shape[-1]), spec.window, kernel.shape[-1]
    shifted = [pad_constant(x, ((kh - 1 - i, i), (0, 0))) for i in range(kh)]
    matrix = kernel.transpose(0, 2, 4, 1, 3).reshape(groups, kw * filters, kh * depth)
    parts = lax.split(_batch_matmul(jnp.concatenate(shifted, axis=-1), matrix), (filters,) * kw, 4)
    ends = [((0, 0), (kw - 1 - j, j)) for j in range(kw)]
    y = reduce(jnp.add, [pad_constant(*pair) for pair in zip(parts, ends, strict=True)])
    pairs = zip(spec.window, spec.pads, strict=True)
    return pad_constant(y, [(low - k + 1, high - k + 1) for k, (low, high) in pairs])


def im2col(spec: ConvSpec, x, kernel):
    """The same with whole windows times kernels: the fastest for the gradient of the kernel."""
    groups, (kh, kw), (height, width) = x.shape[0], spec.window, spec.out
    x = pad_constant(x, spec.pads)
    # Columns first: the larger copy then has long runs.
    windows = jnp.concatenate([x[:, :, :, j : j + width] for j in range(kw)], axis=-1)
    windows = jnp.concatenate([windows[:, :, i : i + height] for i in range(kh)], axis=-1)
    matrix = kernel.transpose(0, 4, 1, 2, 3).reshape(groups, -1, windows.shape[-1])
    return _batch_matmul(windows, matrix)


def _batch_matmul(rows, matrix):
    """Return rows [g, *any, n] times the transposes of matrices [g, m, n].

    With m first, XLA's product for the gradient of the matrix is twice as fast.
    """
    flat = rows.reshape(rows.shape[0], -1, rows.shape[-1])
    y = lax.dot_general(flat, matrix, (((2,), (2,)), ((0,), (0,))))
    return y.reshape(*rows.shape[:-1], -1)


def groups_per_block(spec: ConvSpec) -> int:
    """Return how many groups share a convolution: a divisor of their number."""
    return largest_divisor(spec.groups, CHANNELS * spec.groups // spec.c_in)


def block_diagonal(kernel, groups: int, together: int) -> list:
    """Return the kernel of each block: [*window, n c_of_group, n filters], block-diagonal in n."""
    *window, depth, filters = kernel.shape
    wide = filters // groups
    blocks = lax.split(kernel, (wide * together,) * (groups // together), kernel.ndim - 1)
    if together == 1:
        return list(blocks)
    same = jnp.eye(together, dtype=bool)[:, None, :, None]
    shape = (*window, together * depth, together * wide)
    apart = [block.reshape(*window, 1, depth, together, wide) for block in blocks]
    return [jnp.where(same, block, 0).reshape(shape) for block in apart]
