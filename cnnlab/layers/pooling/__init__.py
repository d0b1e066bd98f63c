"""Pooling, unpooling and upsampling, with their gradients."""
