"""Assign objects to anchors or proposals by their overlap, and sample a fixed number of these.

Ren et al. 2015, section 3.1.2: a reference is positive if its IoU with an object is at least
`high`, or if none has a larger one with that object (all of several that tie); negative if its IoU
with every object is below `low`; ignored between. Everything has a fixed shape, with masks of what
is there.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


class Match(NamedTuple):
    """Of each reference the object that it overlaps most, and what it is an example of."""

    object: Int[Array, "n"]
    kind: Int[Array, "n"]


class Sample(NamedTuple):
    """Rows of the references that were drawn, positives first, and which of the rows count."""

    rows: Int[Array, "k"]
    valid: Bool[Array, "k"]
    positive: Bool[Array, "k"]


def match(
    overlap: Float[Array, "n m"],
    valid: Bool[Array, "m"],
    *,
    low: float,
    high: float,
    best_of_each: bool = False,
) -> Match:
    """Return the object of each reference and its kind; without objects all are negative.

    Args:
        overlap: IoU of references and objects.
        valid: which objects are there; the others are padding.
        low: below it a reference is negative.
        high: from it on a reference is positive.
        best_of_each: whether the references that overlap an object most are positive too, however
            little they do, though not at 0: of an object that nothing overlaps torchvision makes
            all references positive.
    """
    overlap = jnp.where(valid, overlap, -1.0)
    best = overlap.max(axis=1, initial=-1.0)
    chosen = jnp.argmax(overlap, axis=1) if overlap.shape[1] else jnp.zeros(len(overlap), int)
    kind = jnp.where(best >= high, POSITIVE, jnp.where(best < low, NEGATIVE, IGNORED))
    if best_of_each:
        most = overlap.max(axis=0, initial=0.0)
        ties = (overlap == most) & (most > 0) & valid
        kind = jnp.where(ties.any(axis=1), POSITIVE, kind)
    return Match(chosen, kind)


def sample(key: Key[Array, ""], kind: Int[Array, "n"], count: int, positive_share: float) -> Sample:
    """Draw references of which at most this share is positive and the rest is negative.

    Where positives are fewer, more negatives are drawn. All positives are alike, and so are all
    negatives. Rows beyond what there is are not `valid`.

    Args:
        key: of this example, so that its draw does not depend on the batch or the devices.
        kind: POSITIVE, NEGATIVE or IGNORED.
        count: rows of the result, at most n.
        positive_share: of `count`, rounded down.
    """
    most = int(count * positive_share)
    order = jax.random.uniform(key, kind.shape)
    positives = _first(jnp.where(kind == POSITIVE, order, -1.0), most)
    there = kind[positives] == POSITIVE
    negatives = _first(jnp.where(kind == NEGATIVE, order, -1.0), count)
    others = (kind[negatives] == NEGATIVE) & (jnp.arange(count) < count - there.sum())
    # Positives, then the negatives that fill the rows up.
    index = jnp.concatenate([positives, negatives])
    valid = jnp.concatenate([there, others])
    rows = jnp.argsort(~valid, stable=True)[:count]
    positive = jnp.concatenate([there, jnp.zeros(count, bool)])
    return Sample(index[rows], valid[rows], positive[rows])


def _first(order: Float[Array, "n"], count: int) -> Int[Array, "k"]:
    return jax.lax.top_k(order, count)[1]
