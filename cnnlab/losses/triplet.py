"""The triplet loss: an anchor closer to its own class than to others, by a margin.

Schroff, Kalenichenko, Philbin 2015 (FaceNet), section 3.1; Hermans, Beyer, Leibe 2017, section 2.
Over triplets of an anchor a, a positive p of its class and a negative n of another one,

    max(d(a, p) - d(a, n) + margin, 0)

Embeddings [b, d] and labels [b] -> scalar. Positives and negatives come from the batch, under
`pmap` from the global batch:

- `batch_all`: every triplet (Hermans et al., equation 6).
- `batch_hard`: each anchor's farthest positive and nearest negative (Hermans et al., equation 5).
- `semi_hard`: every positive with the nearest negative farther than it (FaceNet, equation 4).
- `hardest_negative`: every positive with the nearest negative of all, of which FaceNet warns that
  it can collapse (section 3.2).

Where no negative is farther than the positive, semi-hard mining takes the farthest one: FaceNet
does not say what to do, and common implementations do this. Deviations: none.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from cnnlab.errors import UserError
from cnnlab.losses.chunked import by_rows
from cnnlab.losses.cross_replica import first_row, gather
from cnnlab.losses.distances import DISTANCES
from cnnlab.losses.mining import MINING, Candidates, Penalty
from cnnlab.metrics.metric import Mean
from cnnlab.utils.registry import pick

# What the sum of the losses is divided by, a field of `mining.Mined`.
AVERAGES = {"active": "active", "all": "triplets"}


class TripletStats(NamedTuple):
    """What the mined triplets are like: means over anchors of an anchor's mean over its triplets.

    Anchors without a triplet are left out.

    Attributes:
        active: share of the triplets with a loss above 0.
        positive_distance: from the anchor to the triplet's positive.
        negative_distance: to its negative.
    """

    active: Mean
    positive_distance: Mean
    negative_distance: Mean


def triplet(
    embeddings: Float[Array, "b d"],
    labels: Integer[Array, "b"],
    *,
    distance: str = "squared",
    mining: str = "semi_hard",
    margin: float | int = 0.2,
    soft: bool = False,
    average: str = "active",
    valid: Bool[Array, "b"] | None = None,
    axis_name: str | None = None,
    chunk: int = 0,
) -> tuple[Float[Array, ""], TripletStats]:
    """Return the mean loss over the triplets of the global batch, 0 if there are none.

    Args:
        embeddings: any float type; not normalized here.
        labels: classes.
        distance: `squared` or `euclidean` distance, or `cosine` (1 - cosine).
        mining: `batch_all`, `batch_hard`, `semi_hard` or `hardest_negative`.
        margin: how much farther a negative has to be than a positive, in units of the distance.
        soft: softplus(d(a, p) - d(a, n)) in place of the hinge, without a margin (Hermans et al.
            2017, section 2). No second derivatives.
        average: mean over triplets with a loss above 0, `active`, or over `all` mined ones.
        valid: False for padding, which is neither anchor nor positive nor negative.
        axis_name: the axis of the replicas. Each returns what has the global batch's loss as its
            mean over them, see `losses.gathering`.
        chunk: anchors at a time, so that no more than chunk x n distances are in memory (n: the
            global batch), in the backward pass, which computes them anew, too; 0 for all at once.

    Raises:
        UserError: for a name that is none of these, or a negative margin or chunk.
    """
    measure = pick(DISTANCES, distance, "distance")
    mine = pick(MINING, mining, "mining")
    divisor = pick(AVERAGES, average, "average")
    if margin < 0 or chunk < 0:
        raise UserError(f"margin={margin}, chunk={chunk}: both need to be 0 or more")
    rows = len(labels)
    kept = jnp.ones(rows, bool) if valid is None else valid
    # What is not valid may be NaN.
    embeddings = jnp.where(kept[:, None], embeddings, 0.0)
    anchors = (embeddings, labels, kept, first_row(rows, axis_name) + jnp.arange(rows))
    everyone = [gather(x, axis_name) for x in anchors]
    order = jnp.argsort(everyone[1])
    others, other_labels, other_kept, indices = (x[order] for x in everyone)

    def sums(anchors):
        x, label, kept, index = anchors
        d = measure(x, others)
        same = label[:, None] == other_labels
        both = kept[:, None] & other_kept
        fixed = jax.lax.stop_gradient(d)
        mined, slopes = mine(
            Candidates(
                fixed,
                positive=both & same & (index[:, None] != indices),
                negative=both & ~same,
                first=jnp.searchsorted(other_labels, label, side="left"),
                stop=jnp.searchsorted(other_labels, label, side="right"),
            ),
            Penalty(margin, soft),
        )
        # The second term is 0; its gradient is that of the loss.
        loss = mined.loss + jnp.sum(slopes * (d - fixed), axis=1)
        return mined._replace(loss=loss)

    mined = by_rows(sums, anchors, chunk)
    counted = jnp.sum(getattr(mined, divisor))
    replicas = 1
    if axis_name is not None:
        counted, replicas = jax.lax.psum((counted, 1), axis_name)
    loss = jnp.sum(mined.loss) * replicas / jnp.maximum(counted, 1.0)
    some = mined.triplets > 0
    count = jnp.where(some, mined.triplets, 1.0)
    means = (Mean.of(x / count, some) for x in (mined.active, mined.positive, mined.negative))
    return loss, TripletStats(*means)
