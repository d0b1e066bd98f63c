"""Textures of `scenes`: functions of the plane, so that any frame can sample them exactly."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cnnlab.data.builders.scene_layout import Object
from cnnlab.geometry import affine

PATTERNS = ("stripes", "checks", "waves")
CONTRAST = 55.0  # of a pattern, and at least of an object of one color to the ground, Euclidean
STROKES = 4
PERIODS = (6.0, 11.0)  # pixels
ROTATED, PLAIN = 0.4, 0.4  # shares of large objects, and of the others


class Grating(NamedTuple):
    """A pattern around a mean color.

    Attributes:
        pattern: one of PATTERNS, or "quarters".
        backward: from pixels to periods.
        mean, swing: the color is mean + swing * pattern, which goes from -1 to 1.
    """

    pattern: str
    backward: affine.Matrix
    mean: Float[np.ndarray, "3"]
    swing: Float[np.ndarray, "3"]

    def colors(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Return the colors at points (y, x)."""
        backward = (2 * np.pi * self.backward).astype(points.dtype)
        u, v = (points @ backward[:, :2].T + backward[:, 2]).T
        match self.pattern:
            case "stripes":
                value = np.sin(u)
            case "checks":
                value = np.sin(u) * np.sin(v)
            case "waves":
                value = np.sin(u + 2 * np.sin(v / 3))
            case _:
                value = np.clip(u, -1, 1) * np.clip(v, -1, 1)
        return self.mean + self.swing * value[:, None]

    def rotated(self, angle: float) -> "Grating":
        """Return the same pattern in the same colors at another orientation."""
        return self._replace(backward=_rotation(angle) @ self.backward)


class Ground(NamedTuple):
    """Regions around `seeds`, each of another pattern, and arcs drawn on it.

    Attributes:
        arcs: center, radius, half the width, and angles of both ends.
        inks: the arcs' colors.
    """

    seeds: Float[np.ndarray, "r 2"]
    textures: list[Grating]
    arcs: Float[np.ndarray, "k 6"]
    inks: Float[np.ndarray, "k 3"]

    def regions(self, points: Float[np.ndarray, "*n 2"]) -> Int[np.ndarray, "*n"]:
        """Return which region points (y, x) lie in."""
        # |p - s|^2 without |p|^2.
        distances = (self.seeds**2).sum(-1) - 2 * points @ self.seeds.T
        return np.moveaxis(distances, -1, 0).argmin(0)

    def colors(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Return the colors at points (y, x)."""
        regions, found = self.regions(points), np.zeros((len(points), 3), points.dtype)
        for number, texture in enumerate(self.textures):
            own = regions == number
            found[own] = texture.colors(points[own])
        for (y, x, radius, width, start, length), ink in zip(self.arcs, self.inks, strict=True):
            away = points - np.array((y, x), points.dtype)
            line = np.flatnonzero(abs(np.hypot(*away.T) - radius) < width)
            angle = np.arctan2(*away[line].T)
            found[line[(angle - start) % (2 * np.pi) < length]] = ink
        return found


def draw_ground(rng: np.random.Generator, size: tuple[int, int]) -> Ground:
    """Return one to three regions, and up to STROKES arcs."""
    names = rng.permutation(PATTERNS)[: rng.integers(1, 4)]
    textures = [
        _grating(rng, name, rng.uniform(60, 195, 3), rng.uniform(0, 2 * np.pi)) for name in names
    ]
    count = int(rng.integers(0, STROKES + 1))
    radius, angle = rng.uniform(5, 60, count), rng.uniform(0, 2 * np.pi, count)
    # Each passes through a point of the image.
    center = rng.uniform(0, size, (count, 2)) - radius[:, None] * _directions(angle)
    length = rng.uniform(10, 40, count) / radius
    ends = [angle - length / 2, length]
    arcs = np.column_stack([center, radius, rng.uniform(0.7, 1.6, count), *ends])
    seeds = rng.uniform(0, size, (len(names), 2))
    return Ground(seeds, textures, arcs, rng.uniform(20, 235, (count, 3)))


def draw_texture(rng: np.random.Generator, item: Object, ground: Ground) -> Grating:
    """Return an object's texture: of one color, of two, or the ground's below it rotated.

    Two colors share the quarters between an object's axes, so that neither is a large part of it.
    The ground's pattern is taken only where the object is large enough for two periods.
    """
    center = item.poses[..., 2].mean(0)
    below = ground.textures[ground.regions(center[None])[0]]
    large = affine.determinant(item.poses[0]) > PERIODS[1] ** 2
    angle = rng.uniform(np.pi / 6, np.pi / 3)
    if large and rng.random() < ROTATED:
        return below.rotated(angle)
    mean = below.mean
    while np.linalg.norm(mean - below.mean) < CONTRAST:
        mean = rng.uniform(20, 235, 3)
    if rng.random() < PLAIN:
        plain = _grating(rng, str(rng.choice(PATTERNS)), mean, rng.uniform(0, 2 * np.pi))
        return plain._replace(swing=plain.swing * 0.3)
    # From one color to the other within two pixels.
    axes = item.poses[0, :, :2].T / np.linalg.norm(item.poses[0, :, :2], axis=0)[:, None]
    other = rng.uniform(20, 235, 3)
    backward = np.column_stack([axes, -axes @ center]) / (2 * np.pi)
    return Grating("quarters", backward, (mean + other) / 2, (mean - other) / 2)


def _grating(rng: np.random.Generator, pattern: str, mean: np.ndarray, angle: float) -> Grating:
    swing = rng.standard_normal(3)
    backward = np.column_stack([_rotation(angle) / rng.uniform(*PERIODS), rng.uniform(0, 1, 2)])
    return Grating(str(pattern), backward, mean, CONTRAST * swing / np.linalg.norm(swing))


def _rotation(angle: float) -> Float[np.ndarray, "2 2"]:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _directions(angles: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k 2"]:
    return np.stack([np.sin(angles), np.cos(angles)], -1)
