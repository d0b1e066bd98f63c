"""Catalog of all layers: paper, formula, a small instance and a worked example of each."""

from cnnlab.layers.catalog.attention import ENTRIES as ATTENTION
from cnnlab.layers.catalog.convolution import ENTRIES as CONVOLUTION
from cnnlab.layers.catalog.convolution_variants import ENTRIES as CONVOLUTION_VARIANTS
from cnnlab.layers.catalog.layer import Layer
from cnnlab.layers.catalog.normalization import ENTRIES as NORMALIZATION
from cnnlab.layers.catalog.pooling import ENTRIES as POOLING
from cnnlab.layers.catalog.regions import ENTRIES as REGIONS

LAYERS: dict[str, Layer] = {
    **CONVOLUTION,
    **CONVOLUTION_VARIANTS,
    **POOLING,
    **REGIONS,
    **NORMALIZATION,
    **ATTENTION,
}

__all__ = ["LAYERS", "Layer"]
