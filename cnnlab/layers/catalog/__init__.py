"""Every layer of the project: where it is from, what it computes, a small instance of it."""

from cnnlab.layers.catalog.attention import ROWS as ATTENTION
from cnnlab.layers.catalog.convolution import ROWS as CONVOLUTION
from cnnlab.layers.catalog.convolution_variants import ROWS as MORE_CONVOLUTIONS
from cnnlab.layers.catalog.layer import Layer
from cnnlab.layers.catalog.normalization import ROWS as NORMALIZATION
from cnnlab.layers.catalog.pooling import ROWS as POOLING

LAYERS: dict[str, Layer] = {
    **CONVOLUTION,
    **MORE_CONVOLUTIONS,
    **POOLING,
    **NORMALIZATION,
    **ATTENTION,
}

__all__ = ["LAYERS", "Layer"]
