"""Normalization over batches and over channels."""
