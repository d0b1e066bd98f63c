"""Horizontal flips; boxes and masks flip along."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.augment.guards import image_of, refuse_targets
from cnnlab.data.augment.limits import Probability


def flip(
    batch: Mapping[str, Any], keys: Key[Array, " b"], /, *, probability: Probability = 0.5
) -> dict[str, Any]:
    """Mirror left and right, each image with `probability`.

    `boxes` (b, n, 4) as y0, x0, y1, x1 in pixels and `masks` (b, n, h, w) are mirrored with their
    image. Rows that only pad the boxes are mirrored like any other and stay empty. Raises
    `UserError` for keypoints (left and right would trade names) and flow.
    """
    image = image_of(batch, "flip")
    refuse_targets(batch, "flip", ("keypoints", "flow"))
    mirrored = jax.vmap(lambda key: jax.random.bernoulli(key, float(probability)))(keys)

    def where(flipped: Array, kept: Array) -> Array:
        return jnp.where(mirrored.reshape(-1, *[1] * (kept.ndim - 1)), flipped, kept)

    result = {**batch, "image": where(image[:, :, ::-1], image)}
    if "boxes" in batch:
        y0, x0, y1, x1 = jnp.moveaxis(batch["boxes"], -1, 0)
        width = image.shape[2]
        result["boxes"] = where(jnp.stack([y0, width - x1, y1, width - x0], -1), batch["boxes"])
    if "masks" in batch:
        result["masks"] = where(batch["masks"][..., ::-1], batch["masks"])
    return result
