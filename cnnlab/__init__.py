"""The convolutional-network course as a laboratory; start with the README and `launch.py`."""
