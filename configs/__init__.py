"""What to run: one file per baseline, `get_config(variant) -> ConfigDict`."""
