"""Catalog entries: features of regions at a fixed size."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from cnnlab.layers.catalog.layer import Layer
from cnnlab.layers.catalog.pooling import HAND
from cnnlab.layers.roi_align import RoIAlign, RoIPool, roi_align, roi_pool


def _regions(key: Array) -> tuple[Array, ...]:
    """Return maps, and three boxes in and around each."""
    features, starts, sides = jax.random.split(key, 3)
    corner = jax.random.uniform(starts, (8, 3, 2), minval=-1.0, maxval=4.0)
    size = jax.random.uniform(sides, (8, 3, 2), minval=0.5, maxval=4.0)
    maps = jax.random.normal(features, (8, 6, 7, 3))
    return maps, jnp.concatenate([corner, corner + size], axis=-1)


def _align():
    # The middle of each bin is a corner of four pixels.
    x, box = jnp.asarray(HAND)[..., None], np.array([[0.0, 0, 4, 4]])
    y = roi_align(x, box, (2, 2), sampling=1)
    return y[0, ..., 0], [[3.75, 5.25], [4.5, 3]]


def _pool():
    # Pixels 0 to 3, the last inside.
    x, box = jnp.asarray(HAND)[..., None], np.array([[0.0, 0, 3, 3]])
    return roi_pool(x, box, (2, 2))[0, ..., 0], [[6, 8], [9, 6]]


ENTRIES: dict[str, Layer] = {
    "roi_align": Layer(
        module=lambda: RoIAlign((2, 3)),
        inputs=_regions,
        paper="He et al. 2017 (Mask R-CNN), section 3",
        formula="y[n,p,q] = mean over s^2 points t of bin p,q of sum over i,j of "
        "max(0, 1 - |t0 - i|) max(0, 1 - |t1 - j|) x[i,j]",
        example=_align,
    ),
    "roi_pool": Layer(
        module=lambda: RoIPool((2, 3)),
        inputs=_regions,
        paper="Girshick 2015 (Fast R-CNN), section 2.1",
        formula="y[n,p,q] = max over the pixels i,j of bin p,q of x[i,j], 0 without pixels",
        example=_pool,
    ),
}
