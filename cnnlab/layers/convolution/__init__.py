"""Convolutions of every kind, their gradients, and their lowerings for CPU."""
