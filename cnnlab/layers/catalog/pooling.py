"""Catalog entries: pooling, subsampling and unpooling."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from cnnlab.layers.catalog.layer import Layer, normal
from cnnlab.layers.pooling.adaptive import AdaptiveAvgPool, adaptive_avg_pool
from cnnlab.layers.pooling.global_pool import (
    GlobalAvgPool,
    GlobalMaxPool,
    global_avg_pool,
    global_max_pool,
)
from cnnlab.layers.pooling.pool import AvgPool, MaxPool, avg_pool, max_pool
from cnnlab.layers.pooling.subsampling import Subsampling, subsample
from cnnlab.layers.pooling.unpool import (
    BedOfNails,
    NearestUnpool,
    Unpool,
    bed_of_nails_unpool,
    max_pool_with_switches,
    nearest_unpool,
    unpool,
)

HAND = np.array([[1, 3, 2, 4], [5, 6, 7, 8], [9, 2, 1, 0], [3, 4, 5, 6]], np.float32)
SMALL = np.array([[1, 2], [3, 4]], np.float32)


def _image(x):
    return jnp.asarray(x)[None, ..., None]


def _max():
    return max_pool(_image(HAND), 2)[0, ..., 0], [[6, 8], [9, 6]]


def _avg():
    return avg_pool(_image(HAND), 2)[0, ..., 0], [[3.75, 5.25], [4.5, 3]]


def _adaptive_avg():
    # Windows of 4 / 3 values: 0 and 1, 1 and 2, 2 and 3.
    expected = [[3.75, 4.5, 5.25], [5.5, 4, 4], [4.5, 3, 3]]
    return adaptive_avg_pool(_image(HAND), 3)[0, ..., 0], expected


def _global_avg():
    return global_avg_pool(_image(HAND)), [[4.125]]


def _global_max():
    return global_max_pool(_image(HAND)), [[9]]


def _subsampling():
    y = subsample(_image(HAND), jnp.array([0.5]), jnp.array([1.0]))
    return y[0, ..., 0], [[8.5, 11.5], [10, 7]]


def _unpool():
    y, switches = max_pool_with_switches(_image(HAND), 2)
    expected = [[0, 0, 0, 0], [0, 6, 0, 8], [9, 0, 0, 0], [0, 0, 0, 6]]
    return unpool(y, switches, (4, 4))[0, ..., 0], expected


def _nearest():
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    return nearest_unpool(_image(SMALL))[0, ..., 0], expected


def _nails():
    expected = [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    return bed_of_nails_unpool(_image(SMALL))[0, ..., 0], expected


ENTRIES: dict[str, Layer] = {
    "max_pool": Layer(
        module=lambda: MaxPool(3, 2, 1),
        inputs=normal(7, 7, 3),
        paper="Krizhevsky et al. 2012, section 3.4",
        formula="y[i,j] = max over u,v of x[s i + u - p, s j + v - p]",
        example=_max,
    ),
    "avg_pool": Layer(
        module=lambda: AvgPool(2),
        inputs=normal(6, 6, 3),
        paper="LeCun et al. 1998, section II.A",
        formula="y[i,j] = (1 / k^2) sum over u,v of x[s i + u - p, s j + v - p]",
        example=_avg,
    ),
    "adaptive_avg_pool": Layer(
        module=lambda: AdaptiveAvgPool((3, 2)),
        inputs=normal(7, 4, 3),
        paper="He et al. 2014 (SPP-net), section 2.2",
        formula="y[i,j] = mean of x over floor(i n / m) <= u < ceil((i + 1) n / m), v likewise",
        example=_adaptive_avg,
    ),
    "global_avg_pool": Layer(
        module=GlobalAvgPool,
        inputs=normal(4, 5, 3),
        paper="Lin et al. 2014, section 3.2",
        formula="y = mean over i,j of x[i,j]",
        example=_global_avg,
    ),
    "global_max_pool": Layer(
        module=GlobalMaxPool,
        inputs=normal(4, 5, 3),
        paper="Oquab et al. 2015, section 3",
        formula="y = max over i,j of x[i,j]",
        example=_global_max,
    ),
    "subsampling": Layer(
        module=lambda: Subsampling(2),
        inputs=normal(6, 6, 3),
        paper="LeCun et al. 1998, section II.B, S2 and S4",
        formula="y[i,j,c] = a[c] sum over u,v of x[2i + u, 2j + v, c] + b[c]",
        example=_subsampling,
    ),
    "unpool": Layer(
        # Pooled, then unpooled by the same switches.
        module=lambda: nn.Sequential([partial(max_pool_with_switches, window=2), Unpool((4, 4))]),
        inputs=normal(4, 4, 3),
        paper="Zeiler & Fergus 2014, section 2.1",
        formula="x[s(i,j)] = y[i,j], 0 elsewhere; s: switches of the max pooling before",
        example=_unpool,
    ),
    "nearest_unpool": Layer(
        module=NearestUnpool,
        inputs=normal(2, 3, 3),
        paper="Odena et al. 2016, Deconvolution and Checkerboard Artifacts",
        formula="x[f i + u, f j + v] = y[i,j] for all u,v < f",
        example=_nearest,
    ),
    "bed_of_nails": Layer(
        module=BedOfNails,
        inputs=normal(2, 3, 3),
        paper="Dosovitskiy et al. 2015, Learning to Generate Chairs",
        formula="x[f i, f j] = y[i,j], 0 elsewhere",
        example=_nails,
    ),
}
