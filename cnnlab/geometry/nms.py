"""Non-maximum suppression: of boxes that overlap the one with the highest score is kept.

Exact at every threshold: a box is kept if no kept box of a higher score overlaps it by more than
the threshold. Boxes come by score in tiles. Those that a box kept before suppresses are gone; among
the others of a tile what is kept is a fixed point on the matrix of their overlaps, which settles
one box more in each round at least, and most in the first few. No tile comes after enough are kept.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from cnnlab.geometry.iou import pairwise_iou

TILE = 64


class Kept(NamedTuple):
    """Rows of the boxes that are kept, by score, and which of them are there."""

    rows: Int[Array, "k"]
    valid: Bool[Array, "k"]


def nms(
    boxes: Real[Array, "n 4"],
    scores: Float[Array, "n"],
    threshold: float | Float[Array, ""],
    count: int,
    *,
    valid: Bool[Array, "n"] | None = None,
    groups: Int[Array, "n"] | None = None,
) -> Kept:
    """Return the at most `count` boxes of highest score that no better one suppresses.

    Of equal scores the earlier box is the better one. Holds overlaps of `count` boxes with a tile.

    Args:
        boxes: [y0, x0, y1, x1].
        scores: of the boxes; a NaN is not there.
        threshold: IoU above which a box is suppressed; at the threshold it stays (torchvision).
        count: rows of the result.
        valid: which boxes are there; all by default.
        groups: classes or levels; boxes of different ones do not suppress each other.
    """
    if not len(scores):
        return Kept(jnp.zeros(count, int), jnp.zeros(count, bool))
    there = ~jnp.isnan(scores) if valid is None else valid & ~jnp.isnan(scores)
    order = jnp.argsort(jnp.where(there, -scores, jnp.inf), stable=True)
    missing = -len(scores) % TILE
    ordered = jnp.pad(order, (0, missing))
    there = jnp.pad(there[order], (0, missing))
    boxes = jnp.asarray(boxes)
    numbers = jnp.zeros(len(scores), int) if groups is None else groups
    better = jnp.triu(jnp.ones((TILE, TILE), bool), 1)

    def suppresses(ones: Int[Array, "a"], others: Int[Array, "b"]) -> Bool[Array, "a b"]:
        over = pairwise_iou(boxes[ones], boxes[others]) > threshold
        return jnp.asarray(over) & (numbers[ones][:, None] == numbers[others])

    def add_tile(state):
        tile, filled, rows = state
        start = tile * TILE
        own = jax.lax.dynamic_slice_in_dim(ordered, start, TILE)
        alive = jax.lax.dynamic_slice_in_dim(there, start, TILE)
        before = (jnp.arange(count) < filled)[:, None]
        alive &= ~(suppresses(rows, own) & before).any(axis=0)
        over = suppresses(own, own) & better

        def survivors(kept):
            return alive & ~(kept[:, None] & over).any(axis=0)

        kept, _ = jax.lax.while_loop(
            lambda rounds: (rounds[0] != rounds[1]).any(),
            lambda rounds: (survivors(rounds[0]), rounds[0]),
            (survivors(alive), alive),
        )
        place = jnp.where(kept, filled + jnp.cumsum(kept) - 1, count)
        return tile + 1, filled + kept.sum(), rows.at[place].set(own, mode="drop")

    tiles = len(ordered) // TILE
    _, filled, rows = jax.lax.while_loop(
        lambda state: (state[0] < tiles) & (state[1] < count),
        add_tile,
        (0, jnp.zeros((), int), jnp.zeros(count, order.dtype)),
    )
    return Kept(rows, jnp.arange(count) < filled)
