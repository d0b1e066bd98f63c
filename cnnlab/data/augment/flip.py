"""Horizontal flips and rotations by quarter turns: no pixel is interpolated."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from cnnlab.data.argument_types import Probability
from cnnlab.data.augment.batch_transform import geometric


@geometric
def flip(
    image: Float[Array, "b h w c"], keys: Key[Array, " b"], /, *, probability: Probability = 0.5
) -> tuple[Float[Array, "b h w c"], Float[Array, "b 2 3"]]:
    """Mirror left and right, each image with `probability`.

    Args:
        probability: of each image to be mirrored.
    """
    mirrored = jax.vmap(lambda key: jax.random.bernoulli(key, float(probability)))(keys)
    mirror = jnp.array([[1.0, 0, 0], [0, -1, image.shape[2]]])
    matrix = jnp.where(mirrored[:, None, None], mirror, jnp.eye(2, 3))
    return jnp.where(mirrored[:, None, None, None], image[:, :, ::-1], image), matrix


@geometric
def quarter_turn(
    image: Float[Array, "b h w c"], keys: Key[Array, " b"], /
) -> tuple[Float[Array, "b h w c"], Float[Array, "b 2 3"]]:
    """Turn each image by 0, 90, 180 or 270 degrees, equally likely; if not square by 0 or 180."""
    height, width = image.shape[1:3]
    quarters = range(0, 4, 1 if height == width else 2)
    drawn = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(quarters)))(keys)
    which = drawn[:, None, None, None]
    *rotated, last = (jnp.rot90(image, n, (1, 2)) for n in quarters)
    new = jnp.select([which == n for n in range(len(rotated))], rotated, last)
    # Counter-clockwise, each from points of the new image to points of the old.
    backward = [
        [[1, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [-1, 0, width]],
        [[-1, 0, height], [0, -1, width]],
        [[0, -1, height], [1, 0, 0]],
    ]
    return new, jnp.array([backward[n] for n in quarters], jnp.float32)[drawn]
