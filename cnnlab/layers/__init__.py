"""Layers as pure functions and Flax modules on channels-last arrays, by family."""
