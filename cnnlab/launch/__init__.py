"""Launching: other processes found, jobs submitted, and what became of them."""
