"""Quarter turns: rotation without interpolation."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.augment.guards import image_of, refuse_targets
from cnnlab.errors import UserError


def quarter_turn(batch: Mapping[str, Any], keys: Key[Array, " b"], /) -> dict[str, Any]:
    """Turn each image by 0, 90, 180 or 270 degrees, equally likely.

    Raises `UserError` for images that are not square, and for boxes, masks and other targets with
    a place.
    """
    image = image_of(batch, "quarter_turn")
    refuse_targets(batch, "quarter_turn")
    if image.shape[1] != image.shape[2]:
        raise UserError(f"quarter_turn: images of {image.shape[1]}x{image.shape[2]} are not square")
    turns = jax.vmap(lambda key: jax.random.randint(key, (), 0, 4))(keys)
    turned = [jnp.rot90(image, n, (1, 2)) for n in range(4)]
    which = turns[:, None, None, None]
    return {**batch, "image": jnp.select([which == n for n in range(3)], turned[:3], turned[3])}
