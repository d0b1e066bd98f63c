"""Sweeps: many runs of one config, as a folder."""
