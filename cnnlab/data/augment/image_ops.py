"""Brightness, contrast, saturation, sharpness and hue of an image with values from 0 to 1.

All but hue are one idea: blend the image with a version of it that lacks the quality, as
`PIL.ImageEnhance` does. `factor` 0 is that version, 1 the image, above 1 more of the quality.
Shapes: (h, w, c) in and out, c 1 (gray) or 3 (RGB). PIL truncates each result to 8 bits, this
rounds nothing.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.data.augment.batch_checks import Image, Scalar

# ITU-R BT.601, the luma of PIL's mode "L" and of torchvision.
LUMA = (0.299, 0.587, 0.114)


def gray(image: Image) -> Float[Array, "h w 1"]:
    """Return the luma of an RGB image; a gray image is its own."""
    if image.shape[-1] == 1:
        return image
    red, green, blue = image[..., 0:1], image[..., 1:2], image[..., 2:3]
    # Spelled out, because on a CPU a reduction over an axis of 3 takes ten times as long, and an
    # accelerator would take a matrix product in bfloat16.
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def blend(without: Float[Array, "..."], image: Image, factor: Scalar) -> Image:
    """Return `without` + `factor` (`image` - `without`), clipped to [0, 1]."""
    return jnp.clip(without + factor * (image - without), 0, 1)


def brightness(image: Image, factor: Scalar) -> Image:
    """Blend with black."""
    return blend(jnp.zeros((), image.dtype), image, factor)


def contrast(image: Image, factor: Scalar) -> Image:
    """Blend with a plane of the image's mean luma."""
    return blend(gray(image).mean(), image, factor)


def saturation(image: Image, factor: Scalar) -> Image:
    """Blend with the gray image (`ImageEnhance.Color`); gray images stay as they are."""
    return blend(gray(image), image, factor)


def sharpness(image: Image, factor: Scalar) -> Image:
    """Blend with the image smoothed by (1 1 1; 1 5 1; 1 1 1) / 13, but for the outermost pixels."""
    height, width = image.shape[:2]
    if min(height, width) < 3:
        return image
    rows = image[:-2] + image[1:-1] + image[2:]
    inner = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * image[1:-1, 1:-1]
    return blend(image.at[1:-1, 1:-1].set(inner / 13), image, factor)


def shift_hue(image: Image, turn: Scalar) -> Image:
    """Turn the hue on the HSV circle by `turn`, 1 being the whole circle; gray stays gray."""
    if image.shape[-1] == 1:
        return image
    red, green, blue = jnp.moveaxis(image, -1, 0)
    value = image.max(-1)
    chroma = value - image.min(-1)
    divisor = jnp.where(chroma > 0, chroma, 1)
    sextant = jnp.where(
        value == red,
        (green - blue) / divisor,
        jnp.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    # Back to RGB: a channel is `value` within one sextant of its own hue and falls off linearly.
    distance = (jnp.array([5.0, 3.0, 1.0]) + sextant[..., None] + 6 * turn) % 6
    fall = jnp.clip(jnp.minimum(distance, 4 - distance), 0, 1)
    return value[..., None] - chroma[..., None] * fall
