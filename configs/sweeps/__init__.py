"""What to try: one file per sweep, `get_sweep()` returns a space of `cnnlab.sweeps.space`."""
