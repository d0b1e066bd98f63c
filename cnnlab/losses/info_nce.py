"""InfoNCE: pick a query's own key out of many.

van den Oord, Li, Vinyals 2018, equation 4: with scores s_j = query . key_j / temperature,

    loss = -log(exp(s_positive) / sum_j exp(s_j))

the cross-entropy of a classification among the N keys that are counted. log N - loss is a lower
bound on the mutual information of query and key (equation 5). Queries [n, d] and keys [m, d] ->
losses [n].

Deviations: the paper's score is bilinear, with the matrix W_k inside the query here. Temperature
(Wu et al. 2018) 1 is the paper's.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from cnnlab.losses.chunked import by_rows
from cnnlab.losses.distances import products


def info_nce(
    queries: Float[Array, "n d"],
    keys: Float[Array, "m d"],
    positive: Integer[Array, "n"],
    *,
    exclude: Integer[Array, "n"] | None = None,
    temperature: float | int = 1.0,
    chunk: int = 0,
) -> tuple[Float[Array, "n"], Bool[Array, "n"]]:
    """Return each query's loss, and whether its own key scores higher than every other.

    Args:
        queries: any float type; the scores are computed in float32.
        keys: those of all queries, the positive ones among them; gathered ones under `pmap`.
        positive: index of each query's own key. One outside [0, m) gives NaN: a wrong index must
            not train in silence.
        exclude: index of a key that is not among each query's candidates, its own self; one
            outside [0, m) leaves out none. A positive that is left out gives an infinite loss.
        temperature: what scores are divided by.
        chunk: queries at a time, so that no more than chunk x m scores are in memory, in the
            backward pass, which computes them anew, too; 0 for all at once.
    """
    columns = jnp.arange(keys.shape[0])
    if exclude is None:
        exclude = jnp.full_like(positive, -1)

    def some(rows):
        queries, positive, exclude = rows
        scores = products(queries, keys) / temperature
        scores = jnp.where(columns == exclude[:, None], -jnp.inf, scores)
        own = columns == positive[:, None]
        known = (positive >= 0) & (positive < keys.shape[0])
        score = jnp.sum(jnp.where(own, scores, 0.0), axis=-1)
        losses = jax.nn.logsumexp(scores, axis=-1) - score
        others = jnp.max(jnp.where(own, -jnp.inf, scores), axis=-1)
        return jnp.where(known, losses, jnp.nan), known & (score > others)

    return by_rows(some, (queries, positive, exclude), chunk)
