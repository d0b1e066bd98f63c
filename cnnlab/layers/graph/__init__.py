"""Graph convolution and batches of graphs."""
