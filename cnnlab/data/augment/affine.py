"""Small random rotations, scalings, shears and shifts: one bilinear sampling through a matrix."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from cnnlab.data.argument_types import Interval, NonNegative, Number, Probability
from cnnlab.data.augment.batch_transform import Image, Scalar, geometric
from cnnlab.geometry.affine import from_center


@geometric
def affine(
    image: Float[Array, "b h w c"],
    keys: Key[Array, " b"],
    /,
    *,
    degrees: NonNegative = 10.0,
    scale: Interval = (0.9, 1.1),
    shear: NonNegative = 10.0,
    translate: Probability = 0.1,
    fill: Number = 0.0,
) -> tuple[Float[Array, "b h w c"], Float[Array, "b 2 3"]]:
    """Rotate, scale, shear and shift each image at random about its center, all at once.

    The angle is uniform in ±`degrees`, the factor in `scale`, the slant of vertical lines in
    ±`shear` degrees, the shift in ±`translate` as a fraction of height and of width. Simard et al.
    2003, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis",
    section 2, is where digit classifiers learned it. Bilinear; `fill` lies beyond the border.

    Args:
        degrees: largest angle, either way.
        scale: smallest and largest factor of the size.
        shear: largest slant of vertical lines in degrees, either way.
        translate: largest shift as a share of height and of width, either way.
        fill: value beyond the border.
    """
    size = jnp.array(image.shape[1:3])

    def one(image: Image, key: Key[Array, ""]) -> tuple[Image, Any]:
        angle, factor, slant, down, right = jax.random.uniform(key, (5,))
        shift = (2 * jnp.stack([down, right]) - 1) * translate * size
        matrix = backward_matrix(
            degrees=(2 * angle - 1) * degrees,
            scale=scale[0] + factor * (scale[1] - scale[0]),
            shear=(2 * slant - 1) * shear,
            down=shift[0],
            right=shift[1],
        )
        return warp(image, matrix, fill=fill), from_center(matrix, image.shape[:2])

    return jax.vmap(one)(image, keys)


def backward_matrix(
    *,
    degrees: Scalar = 0.0,
    scale: Scalar = 1.0,
    shear: Scalar = 0.0,
    down: Scalar = 0.0,
    right: Scalar = 0.0,
) -> Float[Array, "2 3"]:
    """Return the map from output to input of: shear, scale, rotate counter-clockwise, shift.

    Applied to (y, x, 1), where y and x are counted in pixels from the center of the image, it says
    where in the input an output pixel comes from. `shear` in degrees leans the top to the left.
    """
    angle, slant = jnp.deg2rad(degrees), jnp.tan(jnp.deg2rad(shear))
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    # Undo the rotation (y axis pointing down) and the scaling, then the shear x + slant * y.
    linear = jnp.array([[cos, sin], [-sin - slant * cos, cos - slant * sin]])
    # A sum, not a matrix product, which accelerators would take in bfloat16.
    shift = -(linear * jnp.array([down, right])).sum(axis=1, keepdims=True)
    return jnp.concatenate([linear, shift], axis=1)


def warp(image: Image, matrix: Float[Array, "2 3"], *, fill: Number = 0.0) -> Image:
    """Sample `image` bilinearly where `matrix` (see `backward_matrix`) sends each output pixel.

    Beyond the border lies `fill`, blended in over the last pixel.
    """
    height, width = image.shape[:2]
    middle = jnp.array([(height - 1) / 2, (width - 1) / 2])
    y = jnp.arange(height)[:, None] - middle[0]
    x = jnp.arange(width)[None, :] - middle[1]
    places = [matrix[i, 0] * y + matrix[i, 1] * x + matrix[i, 2] + middle[i] for i in (0, 1)]
    # On a CPU these gathers beat products with hat matrices, exact or in two passes, 3 to 6 times.
    sample = partial(
        jax.scipy.ndimage.map_coordinates, coordinates=places, order=1, mode="constant", cval=fill
    )
    return jax.vmap(sample, -1, -1)(image)
