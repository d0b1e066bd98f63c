"""One file per family of layers: pure functions and Flax modules on NHWC arrays."""
