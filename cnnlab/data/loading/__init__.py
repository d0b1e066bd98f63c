"""From sources to batches: order, sampling, memory and threads."""
