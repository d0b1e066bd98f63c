"""A config for tests: a small network on the digits, with one floor."""

import small


def get_config():
    """Return the config, unlocked as configs are."""
    config = small.config(steps=50, floors=("nearest_neighbor",))
    return config.unlock()
