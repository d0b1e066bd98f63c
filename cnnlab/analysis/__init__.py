"""Static analysis of models: shapes, MACs, receptive fields, convolution arithmetic."""
