"""Data sets by name, as random-access sequences of examples."""
