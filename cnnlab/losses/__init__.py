"""Losses: pure functions, model outputs in, a number an example out; float32 inside."""
