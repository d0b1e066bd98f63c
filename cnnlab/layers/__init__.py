"""One file per family of layers: pure functions and Flax modules on NHWC arrays."""

from cnnlab.layers.pooling import avg_pool, max_pool

__all__ = ["avg_pool", "max_pool"]
