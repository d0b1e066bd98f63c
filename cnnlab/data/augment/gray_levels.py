"""Operations on gray levels: autocontrast, equalize, solarize, posterize, as in `PIL.ImageOps`.

Shapes: (h, w, c) in and out, values from 0 to 1, any number of channels, each by itself. What is
defined on the 256 levels of 8-bit images rounds 255 x to them first.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from cnnlab.data.augment.batch_checks import Image, Scalar


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


def solarize(image: Image, threshold: Scalar) -> Image:
    """Invert the values whose 8-bit level is `threshold` (0 to 256) or higher."""
    return jnp.where(to_levels(image) >= threshold, 1 - image, image)


def posterize(image: Image, bits: Int[Array, ""] | int) -> Image:
    """Keep the `bits` (0 to 8) highest bits of each 8-bit level."""
    dropped = 8 - bits
    return (to_levels(image) >> dropped << dropped).astype(image.dtype) / 255
