"""Horizontal flips."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from cnnlab.data.augment.argument_types import Probability
from cnnlab.data.augment.geometric import geometric


@geometric
def flip(
    image: Float[Array, "b h w c"], keys: Key[Array, " b"], /, *, probability: Probability = 0.5
) -> tuple[Float[Array, "b h w c"], Float[Array, "b 2 3"]]:
    """Mirror left and right, each image with `probability`."""
    mirrored = jax.vmap(lambda key: jax.random.bernoulli(key, float(probability)))(keys)
    mirror = jnp.array([[1.0, 0, 0], [0, -1, image.shape[2]]])
    matrix = jnp.where(mirrored[:, None, None], mirror, jnp.eye(2, 3))
    return jnp.where(mirrored[:, None, None, None], image[:, :, ::-1], image), matrix
