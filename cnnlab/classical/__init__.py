"""Vision before convolutional networks."""
