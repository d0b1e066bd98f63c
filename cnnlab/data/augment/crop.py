"""Random crops: of a padded image at its own size, or of any part resized."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from cnnlab.data.argument_types import FractionInterval, Interval, WholeNumber
from cnnlab.data.augment.batch_transform import geometric
from cnnlab.errors import UserError
from cnnlab.geometry import affine
from cnnlab.geometry.rectangles import central_rectangle, random_rectangle

Images = Float[Array, "b h w c"]
Matrices = Float[Array, "b 2 3"]


@geometric
def random_resized_crop(
    image: Images,
    keys: Key[Array, " b"],
    /,
    *,
    scale: FractionInterval = (0.08, 1.0),
    ratio: Interval = (3 / 4, 4 / 3),
    size: WholeNumber = 0,
) -> tuple[Float[Array, "b h2 w2 c"], Matrices]:
    """Resize a random part of each image to `size` x `size`, or to the shape it had if that is 0.

    Szegedy et al. 2014, "Going Deeper with Convolutions", section 6: the part has 8 to 100 % of the
    area and an aspect (width / height) from 3/4 to 4/3; after ten draws that do not fit it is the
    largest central one of that aspect. Bilinear, with antialiasing where it shrinks. Deviation: at
    the crop's border the resampling sees the image beyond it, not a repeated border pixel.

    Args:
        scale: smallest and largest share of the area.
        ratio: smallest and largest aspect, width / height.
        size: side of the result in pixels; 0: the shape that the image had.
    """
    height, width = image.shape[1:3]
    shape = (size or height, size or width)

    def one(image: Float[Array, "h w c"], key: Key[Array, ""]) -> tuple[Array, Any]:
        fits, part = random_rectangle(
            key, (height, width), scale=scale, ratio=ratio, largest=(height, width)
        )
        part = jnp.where(fits, part, jnp.array(central_rectangle((height, width), ratio)))
        matrix = affine.scale_shift(part[2:] / jnp.array(shape), part[:2], xp=jnp)
        return crop_and_resize(image, part, shape), matrix

    return jax.vmap(one)(image, keys)


def crop_and_resize(
    image: Float[Array, "h w c"], part: Int[Array, "4"], shape: tuple[int, int]
) -> Float[Array, "h2 w2 c"]:
    """Resample `part` (top, left, height, width) of `image` to `shape` by antialiased triangles."""
    factor = jnp.array(shape) / part[2:]
    return jax.image.scale_and_translate(
        image,
        (*shape, image.shape[-1]),
        (0, 1),
        factor,
        -part[:2] * factor,
        method="linear",
        antialias=True,
    )


@geometric
def pad_crop(
    image: Images,
    keys: Key[Array, " b"],
    /,
    *,
    padding: WholeNumber = 4,
    mode: Literal["constant", "reflect"] = "constant",
) -> tuple[Images, Matrices]:
    """Pad every side by `padding` pixels, with zeros or by reflection, and crop at a random place.

    He et al. 2015, "Deep Residual Learning for Image Recognition", section 4.2 (CIFAR-10).
    Targets see the outside where the image is padded, by reflection too. Raises `UserError` if
    reflection has too few pixels.

    Args:
        padding: pixels on every side.
        mode: what the padding has: zeros ("constant") or the mirrored image ("reflect").
    """
    if mode == "reflect" and padding >= min(image.shape[1:3]):
        raise UserError(
            f"pad_crop.padding = {padding} cannot reflect images of "
            f"{image.shape[1]} x {image.shape[2]} pixels; it must be below their shorter side"
        )
    sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))

    def one(padded: Float[Array, "hp wp c"], key: Key[Array, ""]) -> tuple[Array, Any]:
        uniform = jax.random.uniform(key, (2,))
        top, left = jnp.floor(uniform * (2 * padding + 1)).astype(jnp.int32)
        matrix = affine.scale_shift((1, 1), (top - padding, left - padding), xp=jnp)
        return jax.lax.dynamic_slice(padded, (top, left, 0), image.shape[1:]), matrix

    return jax.vmap(one)(jnp.pad(image, sides, mode=mode), keys)
