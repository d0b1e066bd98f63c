"""Communication of a data-parallel training step, and a cost model of its time on many devices."""
