"""2-D convolution at stride 1 as one product of columns, shifted and added over rows.

Columns as in MEC (Cho & Brand 2017), rows shifted and added as in kn2row (Vasudevan et al. 2017):
with z[i, j] = sum over v, c of x[i, j + v, c] w[:, v, c, :], one product of matrices for all rows u
of the window and all filters, the output is y[i, j] = sum over u of z[i + u, j, u]. Only the taps
of a row are laid side by side (k copies of x instead of k^2), and both matrices are wide.
"""

from typing import Any

import jax.numpy as jnp
from jax import lax

from cnnlab.layers.convolution.cpu.conv_spec import ConvSpec
from cnnlab.layers.convolution.padding import pad_constant

# Channels for which it is faster than XLA's own; with fewer `toeplitz` is, with more `winograd`.
FEW, MANY = 8, 16


def fits(spec: ConvSpec) -> bool:
    """Return whether values and the gradient of x gain: 3x3 kernels of few channels."""
    few = min(spec.c_in, spec.c_out) >= FEW and max(spec.c_in, spec.c_out) <= MANY
    return few and spec.window == (3, 3) and saves_copies(spec)


def saves_copies(spec: ConvSpec) -> bool:
    """Return whether windows overlap so much that k + k copies are fewer than k^2."""
    (high, wide), c_in, c_out = spec.window, spec.c_in, spec.c_out
    fewer = wide * c_in + high * c_out < wide * high * c_in
    return fewer and max(spec.stride) == 1


def shift_add(spec: ConvSpec, x, kernel):
    """Return the convolution of x with the kernel."""
    columns = _columns(spec, x)
    z = lax.dot_general(
        columns.reshape(-1, columns.shape[-1]), _matrix(kernel), (((1,), (1,)), ((), ()))
    )
    parts = lax.split(z.reshape(*columns.shape[:-1], -1), _filters(spec), 3)
    return _shift_and_add(spec, parts)


def shift_add_filters_first(spec: ConvSpec, x, kernel):
    """The same with the filters before the places, in z.

    Its transpose sums over the shifted rows of dy along their own axis for the gradient of the
    kernel: XLA has a fast product for those.
    """
    columns = _columns(spec, x)
    z = lax.dot_general(
        _matrix(kernel), columns.reshape(-1, columns.shape[-1]), (((1,), (1,)), ((), ()))
    )
    parts = lax.split(z.reshape(-1, *columns.shape[:-1]), _filters(spec), 0)
    y = _shift_and_add(spec, [part[..., None] for part in parts])
    return jnp.moveaxis(y[..., 0], 0, -1)


def _filters(spec: ConvSpec) -> tuple[int, ...]:
    return (spec.c_out,) * spec.window[0]


def _matrix(kernel):
    """[u o, v c]: rows of the kernel with their filters, by columns with their channels."""
    high, wide, c_in, c_out = kernel.shape
    return kernel.transpose(0, 3, 1, 2).reshape(high * c_out, wide * c_in)


def _columns(spec: ConvSpec, x):
    apart, wide = spec.dilation[1], spec.out[1]
    # A column that no window reads, if nothing else is added: as in `conv2d.im2col`.
    idle = 0 if sum(spec.pads[1]) else 1
    padded = pad_constant(pad_constant(x, ((0, 0), spec.pads[1])), ((0, 0), (0, idle)))
    starts = range(0, spec.windows.spans[1], apart)
    return jnp.concatenate([padded[:, :, v : v + wide] for v in starts], axis=-1)


def _shift_and_add(spec: ConvSpec, parts):
    """Return the sum of the parts [..., h, w, c], of which the u-th is shifted up by u rows."""
    (low, high), apart, last = spec.pads[0], spec.dilation[0], spec.windows.spans[0] - 1
    total: Any = sum(
        pad_constant(z, ((last - u * apart, u * apart), (0, 0))) for u, z in enumerate(parts)
    )
    # Cropped at the end: in the transpose dy is then padded once and sliced.
    return pad_constant(total, ((low - last, high - last), (0, 0)))
