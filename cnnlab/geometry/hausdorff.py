"""Modified Hausdorff distance between drawings (Dubuisson & Jain 1994, distance d6 under f2)."""

import numpy as np
from jaxtyping import Bool, Float


def centered(ink: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "n 2"]:
    """Return the places of the ink, row and column, less their mean; a single 0 without ink."""
    places = np.argwhere(ink).astype(np.float64)
    return places - places.mean(axis=0) if len(places) else np.zeros((1, 2))


def modified_hausdorff(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "m 2"]) -> float:
    """Return the larger of the two mean distances from a point to the nearest of the other set."""
    from scipy.spatial import cKDTree

    return float(max(cKDTree(b).query(a)[0].mean(), cKDTree(a).query(b)[0].mean()))
