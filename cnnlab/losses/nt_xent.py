"""NT-Xent: two views of an image find each other among all other images.

Chen, Kornblith, Norouzi, Hinton 2020 (SimCLR), equation 1: InfoNCE with cosine similarity. Each of
the 2 B views of the global batch looks for its partner among the 2 B - 1 others, all of which are
negatives but the partner. Two arrays [b, d] -> losses [b]; row i is the mean of the losses of both
views of image i, and the mean over rows the paper's loss.

Deviations: none.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.losses.cross_replica import first_row, gather
from cnnlab.losses.distances import unit
from cnnlab.losses.info_nce import info_nce


def nt_xent(
    first: Float[Array, "b d"],
    second: Float[Array, "b d"],
    *,
    temperature: float | int = 0.5,
    axis_name: str | None = None,
    chunk: int = 0,
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """Return each image's loss, and how many of its two views find their partner, divided by 2.

    Args:
        first: embeddings of one view, any float type; normalized here.
        second: of the other.
        temperature: what cosine similarities are divided by.
        axis_name: the axis of the replicas, whose views are all candidates.
        chunk: views at a time, see `info_nce`; 0 for all at once.
    """
    rows = first.shape[0]
    first, second = unit(first), unit(second)
    keys = jnp.concatenate([gather(first, axis_name), gather(second, axis_name)])
    mine = first_row(rows, axis_name) + jnp.arange(rows)
    partner = mine + keys.shape[0] // 2
    losses, right = info_nce(
        jnp.concatenate([first, second]),
        keys,
        jnp.concatenate([partner, mine]),
        exclude=jnp.concatenate([mine, partner]),
        temperature=temperature,
        chunk=chunk,
    )
    return losses.reshape(2, rows).mean(axis=0), right.reshape(2, rows).mean(axis=0)
