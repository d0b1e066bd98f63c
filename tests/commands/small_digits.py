"""A config for tests: a small network on the digits, with one baseline."""

import small


def get_config():
    """Return the config, unlocked as configs are."""
    config = small.config(steps=50, representation__baselines=("nearest_neighbor",))
    return config.unlock()
