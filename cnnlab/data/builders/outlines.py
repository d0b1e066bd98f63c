"""Outlines of the objects in `scenes`: round ones, polygons and stars with a longer front.

In units of the object: (u, v), the front along u. Tips lie on the circle of radius 1, the front
half is then stretched and the back half shortened, so that the first tip differs from the
others and the outline is its own mirror image in v only.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

FRONT, BACK = 1.2, 0.8  # factors of u on either side
SLOTS = 6
# Of a flip: tips left and right of the front.
LEFT_RIGHT = ((1, 2), (3, 4))


class Outline(NamedTuple):
    """A star with `tips` and notches between them at radius `inner`; without tips a ring."""

    tips: int
    inner: float


OUTLINES = {
    "disc": Outline(0, 0.0),
    "ring": Outline(0, 0.55),
    **{
        name: Outline(tips, float(np.cos(np.pi / tips)))
        for name, tips in (("triangle", 3), ("square", 4), ("hexagon", 6))
    },
    "star4": Outline(4, 0.45),
    "star5": Outline(5, 0.5),
    "star6": Outline(6, 0.55),
}


def inside(name: str, points: Float[np.ndarray, "*n 2"]) -> Bool[np.ndarray, "*n"]:
    """Return which points (u, v) an outline encloses."""
    u, v = points[..., 0], points[..., 1]
    u = u / np.where(u > 0, FRONT, BACK)
    radius, (tips, inner) = np.hypot(u, v), OUTLINES[name]
    if not tips:
        return (radius <= 1) & (radius >= inner)
    # All sectors are alike, and mirrored in their middle: one edge decides.
    half = np.pi / tips
    angle = abs((np.arctan2(v, u) + half) % (2 * half) - half)
    across, along = inner * np.sin(half), 1 - inner * np.cos(half)
    return radius * (across * np.cos(angle) + along * np.sin(angle)) <= across


def tips(name: str) -> Float[np.ndarray, "6 3"]:
    """Return the tips as keypoints (u, v, 2), (0, 0, 0) where there is none.

    The first is in front; then left and right in turns, and last the one behind.
    """
    count, points = OUTLINES[name].tips, np.zeros((SLOTS, 3))
    for number in range(count):
        side = min(number, count - number)
        slot = 2 * side - (number < count - number) if side else 0
        angle = 2 * np.pi * number / count
        u = np.cos(angle)
        place = SLOTS - 1 if 2 * number == count else slot
        points[place] = u * (FRONT if u > 0 else BACK), np.sin(angle), 2
    return points
