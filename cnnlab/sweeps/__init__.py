"""Sweeps: grids, random and adaptive search over config entries, with reports."""
