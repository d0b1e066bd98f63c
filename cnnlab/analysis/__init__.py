"""Static analysis of models: shapes, MACs, receptive fields, collectives, scaling."""
