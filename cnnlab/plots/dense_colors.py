"""Colors of maps with a number, or a vector, for every pixel."""

import numpy as np
from jaxtyping import Float, Real, UInt8
from matplotlib import colormaps

# Where the wheel of Baker et al. 2011 is red, yellow, green, cyan, blue, magenta and red again.
PLACES = np.array([0, 15, 21, 25, 36, 49, 55]) / 55
WHEEL = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]])


def flow_colors(
    flow: Float[np.ndarray, "h w c"], longest: float | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Return flow in the wheel of Baker et al. 2011, black where it is unknown.

    No motion is white; to the right is red, down yellow, to the left cyan, up blue.

    Args:
        flow: (dy, dx), or (dy, dx, known).
        longest: pixels of a full color; None for the longest vector.
    """
    known = flow[..., 2] > 0 if flow.shape[-1] == 3 else np.ones(flow.shape[:2], bool)
    length = np.where(known, np.hypot(flow[..., 0], flow[..., 1]), 0)
    radius = np.minimum(length / max(longest or length.max(initial=0), 1e-9), 1)[..., None]
    turn = np.arctan2(flow[..., 0], flow[..., 1]) / (2 * np.pi) % 1
    wheel = np.stack([np.interp(turn, PLACES, channel) for channel in WHEEL.T], axis=-1)
    return (255 * np.where(known[..., None], 1 - radius * (1 - wheel), 0)).astype(np.uint8)


def depth_colors(values: Real[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return depth or disparity from dark, the least, to bright; black where it is 0, unknown."""
    known = values != 0
    low, high = (values[known].min(), values[known].max()) if known.any() else (0, 0)
    share = (values - low) / max(high - low, 1e-9)
    shown = colormaps["viridis"](np.where(known, share, 0))[..., :3]
    return (255 * np.where(known[..., None], shown, 0)).astype(np.uint8)
