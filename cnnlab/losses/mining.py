"""Triplet mining: which triplets of a batch count, and the sums of their losses, without a list.

For n anchors and m candidates, sorted by label, from their distances [n, m]: per anchor the sum of
the losses of its triplets, what there is to count, and the slopes [n, m], the derivatives of that
sum by the distances. With these, sum(slopes * distances) has the gradient that the sum over
triplets has, in memory n x m, and neither sorting nor choosing has to be differentiated. (It is a
first derivative; a second one of the soft margin does not come out right.)

Positives are taken one after another, the r-th of every anchor at once, which takes n x m x K
steps for K examples a class: quick where batches have few of each. From `MANY` examples a class
on, distances are sorted instead, n x m x log m steps; but for batch-all with the soft margin.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

# Examples of a class above which sorting is quicker than going through positives one by one. On a
# CPU, with 1,024 anchors, the times were equal at 250 (semi-hard) and 600 (batch-all).
MANY = 256
# Rows sorted at a time, because searching makes several arrays of their size.
BLOCK = 64


class Candidates(NamedTuple):
    """Whom n anchors are compared with: m examples, sorted by label.

    Attributes:
        distances: from each anchor to each candidate.
        positive: where the candidate is another example of the anchor's class, neither padding.
        negative: where it is of another class, neither padding.
        first: index of the first candidate with the anchor's label.
        stop: index after the last one.
    """

    distances: Float[Array, "n m"]
    positive: Bool[Array, "n m"]
    negative: Bool[Array, "n m"]
    first: Integer[Array, "n"]
    stop: Integer[Array, "n"]


class Mined(NamedTuple):
    """Sums over the triplets of each anchor.

    Attributes:
        loss: of their losses.
        active: how many have a loss above 0.
        triplets: how many there are.
        positive: of the distances to their positives.
        negative: of the distances to their negatives.
    """

    loss: Float[Array, "n"]
    active: Float[Array, "n"]
    triplets: Float[Array, "n"]
    positive: Float[Array, "n"]
    negative: Float[Array, "n"]


# With the slopes.
Found = tuple[Mined, Float[Array, "n m"]]


class Penalty(NamedTuple):
    """The loss of a triplet by its gap: how much farther the positive is than the negative.

    Attributes:
        margin: how much nearer the positive has to be.
        soft: softplus, a hinge without a corner and without a margin.
    """

    margin: float
    soft: bool

    def __call__(self, gap: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
        """Return losses and their derivatives."""
        if self.soft:
            return jax.nn.softplus(gap), jax.nn.sigmoid(gap)
        gap = gap + self.margin
        return jnp.maximum(gap, 0.0), (gap > 0).astype(gap.dtype)


def batch_all(candidates: Candidates, penalty: Penalty) -> Found:
    """Take every positive with every negative."""
    d, positive, negative, *_ = candidates
    columns = jnp.arange(d.shape[1])

    def step(carry, column, d_ap, there):
        sums, slopes = carry
        losses, slope = penalty(d_ap[:, None] - d)
        use = there[:, None] & negative
        slope = jnp.where(use, slope, 0.0)
        total = jnp.sum(slope, axis=1)
        pull = jnp.where(columns == column[:, None], total[:, None], 0.0)
        return sums + (_sum(use, losses) if penalty.soft else total), slopes + (pull - slope)

    def by_sorting(row):
        d, positive, negative = row
        reach = d + penalty.margin
        farthest = jnp.sort(jnp.where(positive, reach, -jnp.inf))
        nearest = jnp.sort(jnp.where(negative, d, jnp.inf))
        # Of a positive, the negatives within its reach; of a negative, the positives that reach it.
        reached = jnp.where(positive, jnp.searchsorted(nearest, reach, side="left"), 0)
        reaching = jnp.where(negative, len(d) - jnp.searchsorted(farthest, d, side="right"), 0)
        return jnp.sum(reached.astype(d.dtype)), (reached - reaching).astype(d.dtype)

    nothing = jnp.zeros(len(d)), jnp.zeros_like(d)
    sums, slopes = _each_positive(candidates, step, nothing, None if penalty.soft else by_sorting)
    positives, negatives = _sum(positive), _sum(negative)
    triplets = positives * negatives
    if penalty.soft:
        loss, active = sums, triplets
    else:
        # A hinge has slope 1 where it is active.
        active = sums
        loss = jnp.sum(slopes * d, axis=1) + penalty.margin * active
    d_ap, d_an = _sum(positive, d) * negatives, _sum(negative, d) * positives
    return Mined(loss, active, triplets, d_ap, d_an), slopes


def semi_hard(candidates: Candidates, penalty: Penalty) -> Found:
    """Take every positive with the nearest negative beyond it, else with the farthest negative."""
    d, positive, negative, *_ = candidates
    some, columns = jnp.any(negative, axis=1), jnp.arange(d.shape[1])
    farthest = jnp.max(jnp.where(negative, d, -jnp.inf), axis=1)

    def step(carry, column, d_ap, there):
        loss, active, farther, slopes = carry
        there &= some
        nearest = jnp.min(jnp.where(negative & (d > d_ap[:, None]), d, jnp.inf), axis=1)
        d_an = jnp.where(there, jnp.where(jnp.isinf(nearest), farthest, nearest), 0.0)
        losses, slope = (jnp.where(there, x, 0.0) for x in penalty(d_ap - d_an))
        # Of negatives at the same distance each has its share.
        chosen = negative & (d == d_an[:, None])
        share = slope / jnp.maximum(_sum(chosen), 1.0)
        pull = jnp.where(columns == column[:, None], slope[:, None], 0.0)
        slopes = slopes + (pull - jnp.where(chosen, share[:, None], 0.0))
        return loss + losses, active + (losses > 0), farther + d_an, slopes

    def by_sorting(row):
        d, positive, negative = row
        columns = jnp.arange(len(d))
        nearest, order = jax.lax.sort_key_val(jnp.where(negative, d, jnp.inf), columns)
        # What is beyond comes after in this order; the farthest negative is the last of them.
        last = jnp.sum(negative, dtype=jnp.int32) - 1
        rank = jnp.minimum(jnp.searchsorted(nearest, d, side="right"), jnp.maximum(last, 0))
        use = positive & (last >= 0)
        losses, slopes = (jnp.where(use, x, 0.0) for x in penalty(d - nearest[rank]))
        d_an = jnp.sum(jnp.where(use, nearest[rank], 0.0))
        active = jnp.sum((losses > 0).astype(d.dtype))
        return jnp.sum(losses), active, d_an, slopes.at[order[rank]].add(-slopes)

    nothing = (*(jnp.zeros(len(d)) for _ in range(3)), jnp.zeros_like(d))
    loss, active, d_an, slopes = _each_positive(candidates, step, nothing, by_sorting)
    use = positive & some[:, None]
    return Mined(loss, active, _sum(use), _sum(use, d), d_an), slopes


def hardest_negative(candidates: Candidates, penalty: Penalty) -> Found:
    """Take every positive with the anchor's nearest negative."""
    d, positive, negative, *_ = candidates
    nearest = jnp.argmin(jnp.where(negative, d, jnp.inf), axis=1)
    use, d_an = positive & jnp.any(negative, axis=1)[:, None], _at(d, nearest)
    losses, slopes = (jnp.where(use, x, 0.0) for x in penalty(d - d_an[:, None]))
    triplets, loss = _sum(use), jnp.sum(losses, axis=1)
    d_an = triplets * jnp.where(triplets > 0, d_an, 0.0)
    slopes = _add(slopes, nearest, -jnp.sum(slopes, axis=1))
    return Mined(loss, _sum(losses > 0), triplets, _sum(use, d), d_an), slopes


def batch_hard(candidates: Candidates, penalty: Penalty) -> Found:
    """Take the farthest positive with the nearest negative."""
    d, positive, negative, *_ = candidates
    farthest = jnp.argmax(jnp.where(positive, d, -jnp.inf), axis=1)
    nearest = jnp.argmin(jnp.where(negative, d, jnp.inf), axis=1)
    there = jnp.any(positive, axis=1) & jnp.any(negative, axis=1)
    d_ap, d_an = (jnp.where(there, _at(d, column), 0.0) for column in (farthest, nearest))
    loss, slope = (jnp.where(there, x, 0.0) for x in penalty(d_ap - d_an))
    slopes = _add(_add(jnp.zeros_like(d), farthest, slope), nearest, -slope)
    return Mined(loss, (loss > 0).astype(d.dtype), there.astype(d.dtype), d_ap, d_an), slopes


MINING: dict[str, Callable[[Candidates, Penalty], Found]] = {
    "batch_all": batch_all,
    "batch_hard": batch_hard,
    "semi_hard": semi_hard,
    "hardest_negative": hardest_negative,
}


def _each_positive(candidates, step, carry, by_sorting):
    """Return the carry after a step for each positive of the anchors, or what sorting gives."""
    d, positive, negative, first, stop = candidates
    most = jnp.max(stop - first)

    def rank(r, carry):
        column = jnp.minimum(first + r, d.shape[1] - 1)
        there = (first + r < stop) & _at(positive, column)
        return step(carry, column, _at(d, column), there)

    def one_by_one():
        return jax.lax.fori_loop(0, most, rank, carry)

    if by_sorting is None or d.shape[1] <= MANY:
        return one_by_one()
    rows = (d, positive, negative)
    return jax.lax.cond(
        most <= MANY, one_by_one, lambda: jax.lax.map(by_sorting, rows, batch_size=BLOCK)
    )


def _sum(where, values=1.0):
    return jnp.sum(jnp.where(where, values, 0.0), axis=1)


def _at(matrix, column):
    return jnp.take_along_axis(matrix, column[:, None], axis=1)[:, 0]


def _add(matrix, column, values):
    return matrix.at[jnp.arange(len(matrix)), column].add(values)
