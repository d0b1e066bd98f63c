"""Motion of `scenes`: affine maps from the first frame to the second, and the flow they make."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Int

from cnnlab.data.builders.scene_layout import Object
from cnnlab.geometry import affine

Spread = tuple[float, float, float]
# Standard deviations of the angle in radians, the scale's logarithm, and the shift in pixels.
CAMERA: Spread = (0.03, 0.02, 2.0)
OWN: Spread = (0.1, 0.05, 2.5)
FRACTION = 128  # of a pixel, to which the flow is rounded


def draw(
    rng: np.random.Generator, objects: Sequence[Object], size: tuple[int, int]
) -> Float[np.ndarray, "m 2 3"]:
    """Return the motion of every object, the camera's included, and last that of the ground."""
    camera = _around(rng, np.array(size) / 2, CAMERA)
    own = [_around(rng, item.poses[..., 2].mean(0), OWN) for item in objects]
    return np.stack([*(affine.compose(camera, motion) for motion in own), camera])


def flow(
    objects: Sequence[Object],
    motions: Float[np.ndarray, "m 2 3"],
    ids: Int[np.ndarray, "h w"],
) -> Float32[np.ndarray, "h w 3"]:
    """Return (dy, dx, seen) for every pixel of the first frame.

    `seen` is 1 where the point is seen in the second frame too: inside it, behind no other object.

    Args:
        objects: from back to front, in the second frame.
        motions: of the objects and of the ground.
        ids: number of the object at each pixel of the first frame, -1 for the ground.
    """
    start, own = centers(ids.shape), motions[ids]
    end = np.einsum("hwij,hwj->hwi", own[..., :2], start) + own[..., 2]
    seen = affine.inside(end, ids.shape)
    for number, item in enumerate(objects):
        behind = seen & (ids < number)
        seen[behind] = ~item.covers(end[behind])
    # Zeros in the last places, of which the files get small.
    vectors = np.round((end - start) * FRACTION) / FRACTION
    return np.concatenate([vectors, seen[..., None]], axis=-1).astype(np.float32)


def centers(size: tuple[int, ...]) -> Float[np.ndarray, "h w 2"]:
    """Return the centers (y, x) of all pixels."""
    return np.moveaxis(np.indices(size) + 0.5, 0, -1)


def _around(rng: np.random.Generator, center: np.ndarray, spread: Spread) -> affine.Matrix:
    """Return a random rotation, scaling and shift about a point."""
    angle, growth = rng.normal(0, spread[0]), np.exp(rng.normal(0, spread[1]))
    cosine, sine = growth * np.cos(angle), growth * np.sin(angle)
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([matrix, center - matrix @ center + rng.normal(0, spread[2], 2)])
