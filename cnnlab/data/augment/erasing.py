"""Random erasing: a random rectangle of the image becomes zeros or noise."""

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.argument_types import FractionInterval, Interval, Probability
from cnnlab.data.augment.batch_transform import Image, image_of
from cnnlab.geometry.rectangles import random_rectangle


def random_erasing(
    batch: Mapping[str, Any],
    keys: Key[Array, " b"],
    /,
    *,
    probability: Probability = 0.25,
    scale: FractionInterval = (0.02, 0.33),
    ratio: Interval = (0.3, 3.3),
    fill: Literal["zero", "noise"] = "zero",
) -> dict[str, Any]:
    """Overwrite, with `probability`, one rectangle of each image with zeros or N(0, 1) noise.

    Zhong et al. 2017, "Random Erasing Data Augmentation", Algorithm 1. Meant for normalized images,
    where 0 is the mean color. Deviations: the aspect is log-uniform, so that wide and tall are
    equally likely; after ten draws that do not fit, the image stays whole; the paper's probability
    is 0.5 (here the 0.25 of later recipes) and its largest area 0.4.

    Args:
        probability: of each image to lose a rectangle.
        scale: smallest and largest share of the area.
        ratio: smallest and largest aspect of the rectangle.
        fill: what it becomes: "zero" or "noise", N(0, 1).
    """
    image = image_of(batch, "random_erasing")
    height, width = image.shape[1:3]
    y, x = jnp.arange(height)[:, None, None], jnp.arange(width)[:, None]

    def one(image: Image, key: Key[Array, ""]) -> Image:
        place, chance, noise = jax.random.split(key, 3)
        fits, (top, left, rows, columns) = random_rectangle(
            place, (height, width), scale=scale, ratio=ratio, largest=(height - 1, width - 1)
        )
        inside = (y >= top) & (y < top + rows) & (x >= left) & (x < left + columns)
        erased = inside & fits & jax.random.bernoulli(chance, float(probability))
        if fill == "zero":
            return jnp.where(erased, 0, image)
        return jnp.where(erased, jax.random.normal(noise, image.shape, image.dtype), image)

    return {**batch, "image": jax.vmap(one)(image, keys)}
