"""2-D convolution with its gradients, each in the form that is fastest on CPU.

Values and the gradient of x: Winograd's form, for 16 channels or so `crossed`, else XLA's own. The
gradient of the kernel XLA computes as a convolution whose window is the whole image, of transposed
arrays: with 16 to 64 channels in two to five times the time of the convolution itself. Here it is a
matrix product of windows with dy, some images or lines of them at a time, while they are in the
cache.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from cnnlab.layers.convolution.cpu import shift_add_gemm, winograd
from cnnlab.layers.convolution.cpu.conv_spec import Form, Setting, native, pad_zeros
from cnnlab.layers.convolution.cpu.with_gradients import bilinear

# Windows made at once, in numbers: larger arrays leave the cache, smaller products are slower.
MOST = 2**19
# Below so many numbers in all windows there is little to gain, and more to compile.
LEAST = 2**18


def pick(setting: Setting) -> Form | None:
    """Return a form for the values and one for each gradient: two axes, one group."""
    if setting.axes != 2 or setting.groups > 1:
        return None
    if setting.shape[0] * math.prod(setting.out) * math.prod(setting.kernel[:-1]) < LEAST:
        return None
    of_kernel = partial(windows, setting)
    if winograd.fits(setting):
        form, of_x = winograd.winograd(setting), winograd.spread(setting)
        return bilinear(form, of_kernel=of_kernel, of_x=of_x)
    if shift_add_gemm.fits(setting):
        return bilinear(partial(some_images, setting), of_kernel=of_kernel)
    return bilinear(partial(native, setting), of_kernel=of_kernel)


def some_images(setting: Setting, x, kernel):
    """`crossed`, some images at a time."""
    batch = setting.shape[0]
    each = math.prod(setting.out) * math.prod(setting.kernel[:-1])
    size = divisor(batch, MOST // each)
    part = setting._replace(shape=(size, *setting.shape[1:]))
    form = jax.checkpoint(lambda x: shift_add_gemm.product(part, x, kernel), prevent_cse=False)
    y = lax.map(form, x.reshape(-1, size, *x.shape[1:]))
    return y.reshape(batch, *y.shape[2:])


def windows(setting: Setting, x, kernel):
    """All windows, a few at a time, times the kernel; transposed, they are multiplied by dy."""
    (height, width), batch = setting.out, setting.shape[0]
    of_line = width * math.prod(setting.kernel[:-1])
    # At least as many as the gradient has, to which every part is added.
    most = max(MOST, math.prod(setting.kernel))
    high = divisor(height, most // of_line)
    images, part = _strips(setting, x, high)
    product = shift_add_gemm.by_filter if shift_add_gemm.once(setting) else times
    size = divisor(images.shape[0], most // (of_line * high))
    if size == images.shape[0]:
        y = product(part, images, kernel)
    else:
        # The windows are quick to make again and large to keep.
        form = jax.checkpoint(lambda x: product(part, x, kernel), prevent_cse=False)
        y = lax.map(form, images.reshape(-1, size, *images.shape[1:]))
    return y.reshape(batch, height, width, setting.c_out)


def divisor(number: int, limit: int) -> int:
    """Return the largest divisor of a number up to a limit, or one."""
    return max(n for n in range(1, number + 1) if number % n == 0 and n <= max(1, limit))


def _strips(setting: Setting, x, high: int):
    """Return what `high` lines of the output see, as images of their own, and their setting."""
    count, step = setting.out[0] // high, setting.stride[0]
    if count == 1:
        return x, setting
    lines = (high - 1) * step + setting.spans[0]
    padded = pad_zeros(x, (setting.pads[0], (0, 0)))
    starts = range(0, count * high * step, high * step)
    strips = jnp.stack([padded[:, start : start + lines] for start in starts], axis=1)
    strips = strips.reshape(-1, *strips.shape[2:])
    return strips, setting._replace(shape=strips.shape, pads=((0, 0), setting.pads[1]))


def times(setting: Setting, x, kernel):
    """The windows of x as rows of a matrix (im2col), times the kernel.

    With the filters first XLA's product for the gradient of the kernel is faster.
    """
    # A column that no window sees, if nothing else is added: XLA joins slices that it takes out of
    # a loop's array with the loop's own slice, and then copies number by number.
    idle = 0 if sum(map(sum, setting.pads)) else 1
    x = pad_zeros(setting.padded(x), ((0, 0), (0, idle)))
    # Columns first: what is copied most is then copied in long runs.
    for axis in (2, 1):
        x = jnp.concatenate(_moved(setting, x, axis), axis=-1)
    matrix = kernel.transpose(3, 0, 1, 2).reshape(setting.c_out, -1)
    y = lax.dot_general(x.reshape(-1, x.shape[-1]), matrix, (((1,), (1,)), ((), ())))
    return y.reshape(*x.shape[:-1], setting.c_out)


def _moved(setting: Setting, x, axis: int) -> list:
    """Return what each tap along an axis sees of x."""
    taps, apart, step = (s[axis - 1] for s in (setting.window, setting.dilation, setting.stride))
    last = (setting.out[axis - 1] - 1) * step + 1
    return [lax.slice_in_dim(x, u * apart, u * apart + last, step, axis) for u in range(taps)]
