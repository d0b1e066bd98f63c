"""Classical methods of vision, without convolutional networks."""
