"""Transforms of single examples on the host, before they are batched."""
