"""Random grayscale: some images lose their colors."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.augment.argument_types import Probability
from cnnlab.data.augment.batch_checks import check_color, image_of
from cnnlab.data.augment.image_ops import gray


def grayscale(
    batch: Mapping[str, Any], keys: Key[Array, " b"], /, *, probability: Probability = 0.2
) -> dict[str, Any]:
    """Put the luma in all three channels, of each image with `probability`.

    Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
    appendix A. Gray images stay as they are. Raises `UserError` for images of 2, 4 or more
    channels.
    """
    image = image_of(batch, "grayscale")
    check_color(image, "grayscale")
    chosen = jax.vmap(lambda key: jax.random.bernoulli(key, float(probability)))(keys)
    luma = jax.vmap(gray)(image)
    return {**batch, "image": jnp.where(chosen[:, None, None, None], luma, image)}
