"""Attention over sequences and over images."""
