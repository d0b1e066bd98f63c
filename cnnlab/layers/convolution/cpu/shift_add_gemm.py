"""2-D convolution as a product of columns, added up over rows, for stride 1.

With z[i, j] = sum over v, c of x[i, j + v, c] w[:, v, c, :], one product of matrices for all rows u
of the window and all filters, the output is y[i, j] = sum over u of z[i + u, j, u]. Only the taps
of a row are laid side by side (k copies of x instead of k^2), and both matrices are wide.
"""

import jax.numpy as jnp
from jax import lax

from cnnlab.layers.convolution.cpu.conv_spec import Setting, pad_zeros

# Channels for which it is faster than XLA's own; with fewer `folded` is, with more Winograd's.
FEW, MANY = 8, 16


def fits(setting: Setting) -> bool:
    """Return whether values and the gradient of x gain: kernels of some rows, few channels."""
    few = min(setting.c_in, setting.c_out) >= FEW and max(setting.c_in, setting.c_out) <= MANY
    return few and setting.window == (3, 3) and once(setting)


def once(setting: Setting) -> bool:
    """Return whether windows overlap so much that k + k copies are fewer than k^2."""
    (high, wide), c_in, c_out = setting.window, setting.c_in, setting.c_out
    fewer = wide * c_in + high * c_out < wide * high * c_in
    return fewer and max(setting.stride) == 1


def product(setting: Setting, x, kernel):
    """Return the convolution of x with the kernel."""
    columns = _columns(setting, x)
    z = lax.dot_general(
        columns.reshape(-1, columns.shape[-1]), _matrix(kernel), (((1,), (1,)), ((), ()))
    )
    parts = lax.split(z.reshape(*columns.shape[:-1], -1), _filters(setting), 3)
    return _added(setting, parts, 1)


def by_filter(setting: Setting, x, kernel):
    """The same with the filters before the places, in z.

    Transposed, z is the moved rows of dy, and its rows are what the sum for the gradient of the
    kernel goes along: XLA has a fast product for those.
    """
    columns = _columns(setting, x)
    z = lax.dot_general(
        _matrix(kernel), columns.reshape(-1, columns.shape[-1]), (((1,), (1,)), ((), ()))
    )
    parts = lax.split(z.reshape(-1, *columns.shape[:-1]), _filters(setting), 0)
    parts = [part[..., None] for part in parts]
    y = _added(setting, parts, 2)
    return jnp.moveaxis(y[..., 0], 0, -1)


def _filters(setting: Setting) -> tuple[int, ...]:
    return (setting.c_out,) * setting.window[0]


def _matrix(kernel):
    """[u o, v c]: what lies over another in z, and side by side in the columns."""
    high, wide, c_in, c_out = kernel.shape
    return kernel.transpose(0, 3, 1, 2).reshape(high * c_out, wide * c_in)


def _columns(setting: Setting, x):
    apart, wide = setting.dilation[1], setting.out[1]
    # A column that no window sees, if nothing else is added: as in `dense.times`.
    idle = 0 if sum(setting.pads[1]) else 1
    padded = pad_zeros(pad_zeros(x, ((0, 0), setting.pads[1])), ((0, 0), (0, idle)))
    starts = range(0, setting.spans[1], apart)
    return jnp.concatenate([padded[:, :, v : v + wide] for v in starts], axis=-1)


def _added(setting: Setting, parts, axis: int):
    """Return the sum of the parts, of which the u-th is moved up by u rows."""
    (low, high), apart, last = setting.pads[0], setting.dilation[0], setting.spans[0] - 1

    def padded(part, above, below):
        config = [(0, 0, 0)] * part.ndim
        config[axis] = (above, below, 0)
        return lax.pad(part, jnp.zeros((), part.dtype), config)

    # Cut to size in the end: transposed, dy is then padded once and sliced.
    moved = (padded(z, last - u * apart, u * apart) for u, z in enumerate(parts))
    return padded(sum(moved), low - last, high - last)
