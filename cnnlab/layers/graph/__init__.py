"""Convolutions on graphs."""
