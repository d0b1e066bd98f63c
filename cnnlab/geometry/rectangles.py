"""A random rectangle of given area and aspect, for random-resized crops and random erasing."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

TRIES = 10


def random_rectangle(
    key: Key[Array, ""],
    size: tuple[int, int],
    *,
    scale: Sequence[float | int],
    ratio: Sequence[float | int],
    largest: tuple[int, int],
) -> tuple[Bool[Array, ""], Int[Array, "4"]]:
    """Draw (top, left, height, width) in an image of `size` (height, width).

    The area is uniform in `scale` as a fraction of the image's, the aspect width / height
    log-uniform in `ratio`. Of ten draws the first whose rounded sides are at least 1 and at most
    `largest` is taken and placed uniformly. All ten are drawn at once, because a loop under `vmap`
    would run as long as its slowest example. Also returns whether any of the ten fitted.
    """
    uniform = jax.random.uniform(key, (2 * TRIES + 2,))  # one draw: each takes long to compile
    area = scale[0] + uniform[:TRIES] * (scale[1] - scale[0])
    area = area * (size[0] * size[1])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = jnp.exp(low + uniform[TRIES:-2] * (high - low))
    sides: Any = jnp.round(jnp.stack([jnp.sqrt(area / aspect), jnp.sqrt(area * aspect)], -1))
    fits = ((sides >= 1) & (sides <= jnp.array(largest))).all(-1)
    sides = sides[jnp.argmax(fits)].astype(jnp.int32)
    room = jnp.maximum(jnp.array(size) - sides, 0)
    corner = jnp.floor(uniform[-2:] * (room + 1)).astype(jnp.int32)
    return fits.any(), jnp.concatenate([corner, sides])


def central_rectangle(size: tuple[int, int], ratio: Sequence[float | int]) -> tuple[int, ...]:
    """Return the largest central (top, left, height, width) whose width / height is in `ratio`.

    It is what a random-resized crop falls back on when none of its draws fitted.
    """
    height, width = size
    if width / height < ratio[0]:
        height = max(1, round(width / ratio[0]))
    elif width / height > ratio[1]:
        width = max(1, round(height * ratio[1]))
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width
