"""Utilities without knowledge of models or training: files, registry, signals, console."""
