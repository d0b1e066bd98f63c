"""Non-maximum suppression: of boxes that overlap the one with the highest score is kept.

Exact at every threshold: a box is kept if no kept box of a higher score overlaps it by more than
the threshold. Written as a fixed point on the matrix of overlaps, which settles one box more in
each round at least, and most in the first few.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from cnnlab.geometry.iou import pairwise_iou


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

    Of equal scores the earlier box is the better one. Takes n^2 values of memory.

    Args:
        boxes: [y0, x0, y1, x1].
        scores: of the boxes; a NaN is not there.
        threshold: IoU above which a box is suppressed.
        count: rows of the result.
        valid: which boxes are there; all by default.
        groups: classes or levels; boxes of different ones do not suppress each other.
    """
    there = ~jnp.isnan(scores) if valid is None else valid & ~jnp.isnan(scores)
    order = jnp.argsort(jnp.where(there, -scores, jnp.inf), stable=True)
    boxes, there = jnp.asarray(boxes)[order], there[order]
    over = pairwise_iou(boxes, boxes) > threshold
    if groups is not None:
        over &= groups[order][:, None] == groups[order][None, :]
    # Row i suppresses column j, which has a lower score.
    over &= jnp.triu(jnp.ones(over.shape, bool), 1)

    def survivors(kept):
        return there & ~(kept[:, None] & over).any(axis=0)

    kept, _ = jax.lax.while_loop(
        lambda rounds: (rounds[0] != rounds[1]).any(),
        lambda rounds: (survivors(rounds[0]), rounds[0]),
        (survivors(there), there),
    )
    rows = jnp.argsort(~kept, stable=True)
    rows = jnp.pad(rows, (0, max(0, count - len(rows))))[:count]
    return Kept(order[rows], kept[rows] & (jnp.arange(count) < kept.sum()))
