"""The level of a feature pyramid that a region is pooled from (Lin et al. 2017, equation 1).

k = floor(k0 + log2(sqrt(w h) / 224)), within the levels that there are: a region of 224 pixels is
of level 4, a quarter of its area one level finer.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Real

from cnnlab.geometry.boxes import area

# Regions so little short of a level's size are of that level (torchvision).
TIE = 1e-6


def level(
    boxes: Real[Array | np.ndarray, "*n 4"],
    *,
    finest: int = 2,
    coarsest: int = 5,
    size: int = 224,
    of_size: int = 4,
) -> Int[Array, "*n"]:
    """Return the level of each box, the finest for an empty one.

    Args:
        boxes: [y0, x0, y1, x1] in pixels of the picture.
        finest, coarsest: the levels that there are; level k has a stride of 2^k.
        size: side of a region of level `of_size`.
        of_size: k0.
    """
    side = jnp.sqrt(jnp.asarray(area(boxes)))
    found = jnp.floor(of_size + jnp.log2(side / size) + TIE)
    return jnp.clip(found, finest, coarsest).astype(jnp.int32)
