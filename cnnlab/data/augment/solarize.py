"""Random solarization: some images have their bright values inverted."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.augment.argument_types import Probability
from cnnlab.data.augment.batch_checks import image_of


def solarize(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    /,
    *,
    threshold: Probability = 0.5,
    probability: Probability = 0.2,
) -> dict[str, Any]:
    """Replace values x >= `threshold` by 1 - x, in each image with `probability`.

    Grill et al. 2020, "Bootstrap Your Own Latent", appendix B, where the probability is 0 for one
    view and 0.2 for the other. The operation of the same name in `rand_augment` rounds to 8 bits
    first, this does not.
    """
    image = image_of(batch, "solarize")
    chosen = jax.vmap(lambda key: jax.random.bernoulli(key, float(probability)))(keys)
    inverted = chosen[:, None, None, None] & (image >= threshold)
    return {**batch, "image": jnp.where(inverted, 1 - image, image)}
