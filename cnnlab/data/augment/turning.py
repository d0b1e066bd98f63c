"""Quarter turns: rotation without interpolation."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cnnlab.data.augment.guards import image_of, refuse_targets


def quarter_turn(batch: Mapping[str, Any], keys: Key[Array, " b"], /) -> dict[str, Any]:
    """Turn each image by 0, 90, 180 or 270 degrees, equally likely; if not square by 0 or 180.

    Raises `UserError` for boxes, masks and other targets with a place.
    """
    image = image_of(batch, "quarter_turn")
    refuse_targets(batch, "quarter_turn")
    quarters = range(0, 4, 1 if image.shape[1] == image.shape[2] else 2)
    drawn = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(quarters)))(keys)
    which = drawn[:, None, None, None]
    *turned, last = (jnp.rot90(image, n, (1, 2)) for n in quarters)
    return {**batch, "image": jnp.select([which == n for n in range(len(turned))], turned, last)}
