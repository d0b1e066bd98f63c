"""What `layers_vs_torch.py` compares: one row for each operation, in cnnlab, XLA and PyTorch.

Arrays are made in cnnlab's layout (channels last); PyTorch gets its own (channels first), made
before anything is timed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

SPATIAL = {1: "W", 2: "HW", 3: "DHW"}


@dataclass(frozen=True)
class Row:
    """One operation.

    Attributes:
        name: what it is.
        arrays: shapes of what it is differentiated by, in cnnlab's layout.
        ours: cnnlab's function of the arrays.
        native: the same by what XLA has for it.
        theirs: PyTorch's, of tensors in its layout.
        layouts: axes of each array in PyTorch's order.
        out: axes of the result in PyTorch's order.
    """

    name: str
    arrays: tuple[tuple[int, ...], ...]
    ours: Callable
    native: Callable
    theirs: Callable
    layouts: tuple[tuple[int, ...], ...]
    out: tuple[int, ...]


def rows() -> list[Row]:
    """Return all rows."""
    return [
        *depthwise_and_grouped(),
        *pooling(),
        *pointwise(),
        *three_dimensional(),
        *transposed_rows(),
        conv_lstm_row(),
        batch_norm_row(),
        attention_row(),
        *dense(),
    ]


def depthwise_and_grouped():
    return [
        conv_row("depthwise 3x3, 128 ch 28²", (8, 28, 28, 128), (3, 3, 1, 128), 1, 1, groups=128),
        conv_row("depthwise 3x3/2, 128 ch 28²", (8, 28, 28, 128), (3, 3, 1, 128), 2, 1, groups=128),
        conv_row("depthwise 3x3, 512 ch 14²", (8, 14, 14, 512), (3, 3, 1, 512), 1, 1, groups=512),
        conv_row("depthwise 7x7, 96 ch 28²", (8, 28, 28, 96), (7, 7, 1, 96), 1, 3, groups=96),
        conv_row("grouped 3x3, 32 x 4 ch 28²", (4, 28, 28, 128), (3, 3, 4, 128), 1, 1, groups=32),
        conv_row("grouped 3x3, 32 x 8 ch 14²", (4, 14, 14, 256), (3, 3, 8, 256), 1, 1, groups=32),
        conv_row("grouped 3x3, 32 x 16 ch 14²", (4, 14, 14, 512), (3, 3, 16, 512), 1, 1, groups=32),
        conv_row("grouped 5x5, 2 x 48 ch 27²", (4, 27, 27, 96), (5, 5, 48, 256), 1, 2, groups=2),
    ]


def pooling():
    return [
        pool_row("max-pool 3x3/2, 64 ch 56²", (4, 56, 56, 64), 3, 2, 1),
        pool_row("max-pool 3x3/1, 192 ch 28²", (4, 28, 28, 192), 3, 1, 1),
        pool_row("max-pool 2x2, 64 ch 56²", (4, 56, 56, 64), 2, 2, 0),
    ]


def pointwise():
    return [
        conv_row("1x1, 64 to 256, 56²", (2, 56, 56, 64), (1, 1, 64, 256), 1, 0),
        conv_row("1x1, 1024 to 256, 14²", (8, 14, 14, 1024), (1, 1, 1024, 256), 1, 0),
        conv_row("1x1/2, 256 to 512, 56²", (2, 56, 56, 256), (1, 1, 256, 512), 2, 0),
        conv_row("patches 16x16, 3 to 192, 224²", (2, 224, 224, 3), (16, 16, 3, 192), 16, 0),
    ]


def three_dimensional():
    return [
        conv_row("3-D 7x7x7/2, 3 to 64", (1, 8, 40, 40, 3), (7, 7, 7, 3, 64), 2, 3),
        conv_row("3-D 3x3x3, 64 ch", (1, 8, 28, 28, 64), (3, 3, 3, 64, 64), 1, 1),
        conv_row("3-D 3x3x3/2, 64 to 128", (1, 8, 28, 28, 64), (3, 3, 3, 64, 128), 2, 1),
    ]


def transposed_rows():
    return [
        transposed_row("transposed 4x4/2, 128 to 64, 14²", (8, 14, 14, 128), (4, 4, 64, 128), 2, 1),
        transposed_row("transposed 2x2/2, 128 to 64, 28²", (4, 28, 28, 128), (2, 2, 64, 128), 2, 0),
        transposed_row("transposed 16x16/8, 21 ch", (1, 14, 14, 21), (16, 16, 21, 21), 8, 4),
        transposed_row("transposed 3-D 4x4x4/2", (1, 4, 8, 8, 64), (4, 4, 4, 32, 64), 2, 1),
    ]


def dense():
    return [
        conv_row("3x3, 64 ch 56²", (2, 56, 56, 64), (3, 3, 64, 64), 1, 1),
        conv_row("3x3, 256 ch 14²", (4, 14, 14, 256), (3, 3, 256, 256), 1, 1),
        conv_row("3x3, 512 ch 2²", (32, 2, 2, 512), (3, 3, 512, 512), 1, 1),
        conv_row("7x7/2, 3 to 64, 112²", (2, 112, 112, 3), (7, 7, 3, 64), 2, 3),
        conv_row("3x3 dilated 2, 256 ch 28²", (1, 28, 28, 256), (3, 3, 256, 256), 1, 2, dilation=2),
        conv_row("3x3 dilated 12, 256 ch 28²", (1, 28, 28, 256), (3, 3, 256, 256), 1, 12, 12),
        conv_row("5x5, 1 to 6, 32², batch 512", (512, 32, 32, 1), (5, 5, 1, 6), 1, 0),
        conv_row("5x5, 6 to 16, 14², batch 512", (512, 14, 14, 6), (5, 5, 6, 16), 1, 0),
        conv_row("1-D 3, 64 ch 256", (8, 256, 64), (3, 64, 64), 1, 1),
    ]


def channels_first(axes: int) -> tuple[int, ...]:
    """Return the order of [b, *spatial, c] for PyTorch."""
    return (0, axes + 1, *range(1, axes + 1))


def filters_first(axes: int) -> tuple[int, ...]:
    """Return the order of [*window, c_a, c_b] for PyTorch: [c_b, c_a, *window]."""
    return (axes + 1, axes, *range(axes))


def conv_row(name, shape, kernel, stride, pad, dilation=1, groups=1) -> Row:
    """Return a row for a convolution."""
    import torch.nn.functional as F
    from jax import lax

    from cnnlab.layers.convolution.conv import conv

    axes = len(kernel) - 2
    letters = SPATIAL[axes]
    native = partial(
        lax.conv_general_dilated,
        window_strides=(stride,) * axes,
        padding=((pad, pad),) * axes,
        rhs_dilation=(dilation,) * axes,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        feature_group_count=groups,
    )
    ours = partial(conv, stride=stride, padding=pad, dilation=dilation, groups=groups)
    function = getattr(F, f"conv{axes}d")

    def theirs(x, kernel):
        return function(x, kernel, None, stride, pad, dilation, groups)

    layouts = (channels_first(axes), filters_first(axes))
    return Row(name, (shape, kernel), ours, native, theirs, layouts, layouts[0])


def transposed_row(name, shape, kernel, stride, pad) -> Row:
    """Return a row for a transposed convolution."""
    import jax.numpy as jnp
    import torch.nn.functional as F
    from jax import lax

    from cnnlab.layers.convolution.transposed import conv_transpose

    axes = len(kernel) - 2
    letters = SPATIAL[axes]

    def native(x, kernel):
        return lax.conv_general_dilated(
            x,
            jnp.flip(kernel, tuple(range(axes))),
            (1,) * axes,
            [(k - 1 - pad, k - 1 - pad) for k in kernel.shape[:-2]],
            lhs_dilation=(stride,) * axes,
            dimension_numbers=(f"N{letters}C", f"{letters}OI", f"N{letters}C"),
        )

    function = getattr(F, f"conv_transpose{axes}d")

    def theirs(x, kernel):
        return function(x, kernel, None, stride, pad)

    layouts = (channels_first(axes), filters_first(axes))
    ours = partial(conv_transpose, stride=stride, padding=pad)
    return Row(name, (shape, kernel), ours, native, theirs, layouts, layouts[0])


def pool_row(name, shape, window, stride, pad) -> Row:
    """Return a row for max-pooling."""
    import flax.linen as nn
    import torch.nn.functional as F

    from cnnlab.layers.pooling.pool import max_pool

    pads = ((pad, pad), (pad, pad))

    def theirs(x):
        return F.max_pool2d(x, window, stride, pad)

    numbers = {"window_shape": (window, window), "strides": (stride, stride), "padding": pads}
    native, order = partial(nn.max_pool, **numbers), channels_first(2)
    ours = partial(max_pool, window=(window, window), stride=(stride, stride), padding=pads)
    return Row(name, (shape,), ours, native, theirs, (order,), order)


def conv_lstm_row(steps: int = 16, size: int = 32, channels: int = 16, features: int = 32) -> Row:
    """Return a row for a ConvLSTM, gates i, f, c, o, without peepholes."""
    import jax
    import jax.numpy as jnp
    import torch
    import torch.nn.functional as F
    from jax import lax

    from cnnlab.layers.recurrent.conv_lstm import conv_lstm

    def ours(x, kernel_x, kernel_h):
        return conv_lstm(x, kernel_x, kernel_h)[0]

    def native(x, kernel_x, kernel_h):
        convolve = partial(
            lax.conv_general_dilated,
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

        def step(state, x):
            h, c = state
            i, f, g, o = jnp.split(convolve(x, kernel_x) + convolve(h, kernel_h), 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((1, size, size, features))
        return jnp.moveaxis(lax.scan(step, (zeros, zeros), jnp.moveaxis(x, 1, 0))[1], 0, 1)

    def theirs(x, kernel_x, kernel_h):
        h = c = torch.zeros((1, features, size, size), device=x.device)
        hs = []
        for gates in F.conv2d(x[0], kernel_x, padding=1)[:, None]:
            i, f, g, o = (gates + F.conv2d(h, kernel_h, padding=1)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            hs.append(h)
        return torch.stack(hs, 1)

    shapes = (
        (1, steps, size, size, channels),
        (3, 3, channels, 4 * features),
        (3, 3, features, 4 * features),
    )
    video, kernel = (0, 1, 4, 2, 3), filters_first(2)
    name = f"ConvLSTM 3x3, {steps} steps, {size}²"
    return Row(name, shapes, ours, native, theirs, (video, kernel, kernel), video)


def batch_norm_row(shape: Sequence[int] = (8, 28, 28, 128)) -> Row:
    """Return a row for BatchNorm in training."""
    import jax.numpy as jnp
    import torch.nn.functional as F
    from jax import lax

    from cnnlab.layers.normalization.batch_norm import batch_norm_train

    def ours(x, scale, bias):
        return batch_norm_train(x, scale, bias)[0]

    def native(x, scale, bias):
        mean, var = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
        return (x - mean) * (lax.rsqrt(var + 1e-5) * scale) + bias

    def theirs(x, scale, bias):
        return F.batch_norm(x, None, None, scale, bias, training=True)

    order = channels_first(2)
    shapes = (tuple(shape), shape[-1:], shape[-1:])
    return Row("BatchNorm, 128 ch 28²", shapes, ours, native, theirs, (order, (0,), (0,)), order)


def attention_row(shape: tuple[int, ...] = (8, 12, 196, 64)) -> Row:
    """Return a row for scaled dot-product attention."""
    import jax
    import torch.nn.functional as F

    from cnnlab.layers.attention.dot_product import attention

    def native(q, k, v):
        return jax.nn.softmax(q @ k.swapaxes(-1, -2) / math.sqrt(shape[-1]), axis=-1) @ v

    theirs, order = F.scaled_dot_product_attention, (0, 1, 2, 3)
    shapes, orders = (shape,) * 3, (order,) * 3
    return Row("attention, 196 tokens", shapes, attention, native, theirs, orders, order)


def make(row: Row, seed: int = 0) -> list[np.ndarray]:
    """Return the arrays of a row: standard normal, kernels by their fan-in.

    What is pooled comes after a ReLU, whose zeros are ties.
    """
    rng = np.random.default_rng(seed)
    first, *others = (rng.normal(size=shape).astype(np.float32) for shape in row.arrays)
    x = np.maximum(first, 0) if not others else first
    scaled = [a / math.sqrt(math.prod(a.shape[:-1])) if a.ndim > 2 else a for a in others]
    return [x, *(others if row.name.startswith("attention") else scaled)]
