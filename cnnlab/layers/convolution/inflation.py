"""Inflation: kernels for images extended along time to kernels for clips.

Carreira & Zisserman 2017, section 2.4 (I3D): the kernel is repeated along time and divided by the
number of repeats, so that a clip of one repeated image has the output of the image, wherever the
window lies within the clip. Girdhar et al. 2018 (Detect-and-Track) call
this "mean" and compare it with "center": the kernel is at the middle tap and the others are
zero, so that other times have no effect at first.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError

WAYS = ("mean", "center")


def inflate(
    kernel: Float[Array, "*window c_in c_out"], time: int, way: str = "mean"
) -> Float[Array, "time *window c_in c_out"]:
    """Return `kernel` with an axis of `time` taps in front; biases stay as they are.

    Args:
        kernel: of a convolution over images, [height, width, c_in, c_out], or over any axes.
        time: taps along time, at least 1.
        way: "mean" or "center"; the middle of an even number is the tap before it.

    Raises:
        UserError: for a `time` below 1 or an unknown `way`.
    """
    if time < 1:
        raise UserError(f"inflate: time={time} must be at least 1")
    if way not in WAYS:
        raise UserError(f"inflate: way='{way}' is none of {', '.join(WAYS)}")
    if way == "mean":
        return jnp.broadcast_to(kernel / time, (time, *kernel.shape))
    return jnp.zeros((time, *kernel.shape), kernel.dtype).at[(time - 1) // 2].set(kernel)
