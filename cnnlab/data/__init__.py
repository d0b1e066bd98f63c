"""Data: sources by name, transforms on host and device, and the batches a run is fed with."""
