"""What a data-parallel training step exchanges, and the time that a model says it takes."""
