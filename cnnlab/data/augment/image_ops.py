"""Operations on one image with values from 0 to 1: colors, sharpness and gray levels, as in PIL.

Shapes: (h, w, c) in and out.

Brightness, contrast, saturation and sharpness are one idea: blend the image with a version of it
that lacks the quality, as `PIL.ImageEnhance` does. `factor` 0 is that version, 1 the image, above 1
more of the quality. They and the hue take gray (c = 1) or RGB images (c = 3). PIL truncates each
result to 8 bits, these round nothing.

Autocontrast, equalize and posterize, as in `PIL.ImageOps`, treat each of any number of channels
by itself. What is defined on the 256 levels of 8-bit images rounds 255 x to them first.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from cnnlab.data.augment.batch_transform import Image, Scalar

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
    """Rotate the hue on the HSV circle by `turn`, 1 being the whole circle; gray stays gray."""
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


def to_levels(image: Float[Array, "..."]) -> Int[Array, "..."]:
    """Return the 8-bit level, 0 to 255, nearest to each value."""
    return jnp.clip(jnp.round(image * 255), 0, 255).astype(jnp.int32)


def autocontrast(image: Image) -> Image:
    """Stretch each channel to [0, 1]; a channel of one value stays. PIL truncates to 8 bits."""
    low, high = image.min((0, 1)), image.max((0, 1))
    span = high - low
    return jnp.where(span > 0, (image - low) / jnp.where(span > 0, span, 1), image)


def equalize(image: Image) -> Image:
    """Map the levels of each channel so that they are used about equally often, exactly as PIL."""

    def one(levels: Int[Array, "h w"]) -> Float[Array, "h w"]:
        counts = jnp.bincount(levels.ravel(), length=256)
        highest = 255 - jnp.argmax(counts[::-1] > 0)
        # PIL's step: the pixels below the highest level in use, spread over 255 steps.
        step = (levels.size - counts[highest]) // 255
        below = jnp.cumsum(counts) - counts
        table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
        table = jnp.where(step > 0, table, jnp.arange(256))
        return (table.astype(image.dtype) / 255)[levels]

    return jax.vmap(one, -1, -1)(to_levels(image))


def invert(image: Float[Array, "*b h w c"], where: Bool[Array, "*b h w c"]) -> Array:
    """Replace values x by 1 - x `where` that is True, as solarization does with bright ones."""
    return jnp.where(where, 1 - image, image)


def posterize(image: Image, bits: Int[Array, ""] | int) -> Image:
    """Keep the `bits` (0 to 8) highest bits of each 8-bit level."""
    dropped = 8 - bits
    return (to_levels(image) >> dropped << dropped).astype(image.dtype) / 255
