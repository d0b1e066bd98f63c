"""Every layer of the project: where it is from, what it computes, a small instance of it."""

from cnnlab.layers.table.attention import ROWS as ATTENTION
from cnnlab.layers.table.convolution import ROWS as CONVOLUTION
from cnnlab.layers.table.layer import Layer
from cnnlab.layers.table.more_convolutions import ROWS as MORE_CONVOLUTIONS
from cnnlab.layers.table.normalization import ROWS as NORMALIZATION
from cnnlab.layers.table.pooling import ROWS as POOLING

LAYERS: dict[str, Layer] = {
    **CONVOLUTION,
    **MORE_CONVOLUTIONS,
    **POOLING,
    **NORMALIZATION,
    **ATTENTION,
}

__all__ = ["LAYERS", "Layer"]
