"""Scaled dot-product attention.

Vaswani et al. 2017, equation 1:

    attention(Q, K, V) = softmax(Q K^T / sqrt(d)) V

Arrays are [*batch, tokens, d]; heads are one more batch axis. It does not depend on the order of
the tokens: permuting the queries permutes the result, permuting keys and values together changes
nothing. Deviation: a query whose keys are all masked gets zeros, where the formula is 0 / 0.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from cnnlab.errors import UserError
from cnnlab.layers.chunking import largest_divisor
from cnnlab.layers.dropout import dropout

# So many scores, or those of one head, are computed at a time on CPU: they stay in the cache until
# the values are weighted. All at once, they go to memory and back for each step of the softmax.
SCORES_AT_A_TIME = 2**16


def attention(
    q: Float[Array, "*batch queries d"],
    k: Float[Array, "*batch keys d"],
    v: Float[Array, "*batch keys d_v"],
    *,
    mask: Bool[Array, "..."] | None = None,
    bias: Float[Array, "..."] | None = None,
    scale: float | None = None,
    drop_rate: float = 0.0,
    dropout_key: PRNGKeyArray | None = None,
    return_weights: bool = False,
) -> Any:
    """Return the mean of the values `v`, weighted by how well their keys fit each query.

    The softmax is computed in at least float32. On CPU a few heads are taken at a time, which is
    the same to rounding, and the backward pass computes the scores again: that needs less memory,
    and is faster where the C library gives freed memory back. Elsewhere it is
    `jax.nn.dot_product_attention`, if no weights are dropped or returned and d_v is d.

    Args:
        q: queries.
        k: keys, with the batch axes of `q`.
        v: values.
        mask: True where a query attends to a key; broadcast to [*batch, queries, keys]. A query
            whose keys are all masked gets zeros.
        bias: added to the scores before the softmax (say, of relative positions); broadcast
            likewise.
        scale: of the scores; None is 1 / sqrt(d).
        drop_rate: share of the weights set to zero, the others scaled up (inverted dropout).
        dropout_key: of the dropped weights; needed if `drop_rate` is above 0.
        return_weights: return the weights, too, as they are applied.

    Returns:
        [*batch, queries, d_v], or that and the weights [*batch, queries, keys].

    Raises:
        UserError: for shapes or dtypes that do not fit, or a `drop_rate` that is no probability
            or comes without a key.
    """
    scores = check(q, k, v, mask, bias)
    mask, bias = (x if x is None else jnp.atleast_2d(x) for x in (mask, bias))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    factor = None
    if drop_rate != 0:
        if dropout_key is None:
            raise UserError(f"attention: drop_rate={drop_rate} needs a dropout_key")
        factor = dropout(dropout_key, jnp.ones(scores, v.dtype), drop_rate)
    arrays = (q, k, v, mask, bias, factor)
    if return_weights:
        weights = attention_weights(q, k, mask, bias, factor, scale=scale).astype(v.dtype)
        return weights @ v, weights

    def whole(q, k, v, *changes):
        return attention_weights(q, k, *changes, scale=scale).astype(v.dtype) @ v

    batch, size = scores[:-2], math.prod(scores[-2:])
    heads, most = math.prod(batch), max(1, SCORES_AT_A_TIME // max(1, size))

    def in_groups(*arrays):
        group = largest_divisor(heads, most)
        return _map(whole, arrays, batch, group).reshape(*scores[:-1], v.shape[-1])

    def library(*arrays):
        return by_library(*arrays[:-1], scale=scale)

    same = factor is None and q.shape == (*scores[:-1], v.shape[-1]) and size > 0
    on_cpu, elsewhere = in_groups if heads > most else whole, library if same else whole
    if on_cpu is elsewhere:
        return whole(*arrays)
    return lax.platform_dependent(*arrays, cpu=on_cpu, default=elsewhere)


def by_library(q, k, v, mask=None, bias=None, *, scale):
    """Return what `attention` does by `jax.nn.dot_product_attention`; d_v is d, without dropout."""
    # Theirs are [batch, tokens, heads, d], and [batch, heads, queries, keys].
    heads = (-1, q.shape[-3] if q.ndim > 3 else 1)
    q_, k_, v_ = (jnp.swapaxes(x.reshape(*heads, *x.shape[-2:]), 1, 2) for x in (q, k, v))
    scores = (*q.shape[:-1], k.shape[-2])
    mask_, bias_ = (
        x if x is None else jnp.broadcast_to(x, scores).reshape(*heads, *scores[-2:])
        for x in (mask, bias)
    )
    y = jax.nn.dot_product_attention(q_, k_, v_, bias=bias_, mask=mask_, scale=scale)
    y = jnp.swapaxes(y, 1, 2).reshape(v.shape[:-2] + y.shape[-3:-2] + v.shape[-1:])
    # For a query whose keys are all masked, theirs is the mean of all values.
    return y if mask is None else jnp.where(jnp.any(mask, axis=-1, keepdims=True), y, 0)


def attention_weights(q, k, mask=None, bias=None, factor=None, *, scale):
    """Return softmax(scale Q K^T + bias) where the mask is true, times `factor`, without checks."""
    wide = jnp.promote_types(q.dtype, jnp.float32)
    if k.shape[-2] == 0:
        return jnp.zeros((*q.shape[:-1], 0), wide)
    scores = jnp.einsum("...qd,...kd->...qk", q, k, preferred_element_type=wide) * scale
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        # Not -inf: where all is masked the softmax would be NaN, and its gradient too.
        scores = jnp.where(mask, scores, jnp.finfo(wide).min)
    weights = jax.nn.softmax(scores, axis=-1)
    if mask is not None:
        weights = jnp.where(mask, weights, 0)
    return weights if factor is None else weights * factor


def _map(function, arrays, batch, group):
    """Return `function` of each `group` in the batch, one after the other, stacked.

    Arrays that are the same for the whole batch are not split; None stays None.
    """
    # A product of matrices is faster than a batch of one of them.
    lead = (-1,) if group == 1 else (math.prod(batch) // group, group)
    parts, whole = {}, {}
    for n, array in enumerate(arrays):
        if array is None or math.prod(array.shape[:-2]) == 1:
            whole[n] = array if array is None else array.reshape(array.shape[-2:])
        else:
            full = jnp.broadcast_to(array, (*batch, *array.shape[-2:]))
            parts[n] = full.reshape(*lead, *array.shape[-2:])

    def step(parts):
        either = parts | whole
        return function(*(either[n] for n in range(len(arrays))))

    # Scores computed again in the backward pass cost less than writing and reading them.
    return lax.map(jax.checkpoint(step, prevent_cse=False), parts)


def check(q, k, v, mask, bias) -> tuple[int, ...]:
    """Return the shape of the scores, or raise a `UserError` for arrays that do not fit."""
    shapes = f"q {q.shape}, k {k.shape}, v {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise UserError(f"attention: {shapes} must be [*batch, tokens, d]")
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        raise UserError(f"attention: {shapes} differ in their batch axes")
    if q.shape[-1] != k.shape[-1]:
        raise UserError(f"attention: {shapes}: queries and keys must have as many features")
    if k.shape[-2] != v.shape[-2]:
        raise UserError(f"attention: {shapes}: there must be as many keys as values")
    dtypes = {str(a.dtype) for a in (q, k, v)}
    if len(dtypes) > 1:
        raise UserError(f"attention: q, k and v have dtypes {sorted(dtypes)}: cast to one")
    scores = (*q.shape[:-1], k.shape[-2])
    for name, array in (("mask", mask), ("bias", bias)):
        if array is None:
            continue
        known = zip(array.shape[::-1], scores[::-1], strict=False)
        if array.ndim > len(scores) or any(n not in (1, m) for n, m in known):
            raise UserError(
                f"attention: {name} {array.shape} does not broadcast to {scores}, which is "
                "[*batch, queries, keys]"
            )
    if mask is not None and mask.dtype != jnp.bool_:
        raise UserError(f"attention: mask must be boolean, True where to look; not {mask.dtype}")
    return scores


def causal_mask(queries: int, keys: int | None = None, *, first: int = 0) -> Bool[Array, "q k"]:
    """Return True where key j is not after query i.

    Args:
        queries: how many.
        keys: how many; None is as many as queries.
        first: position of the first query among the keys; with `keys - queries` the last query
            sees all.
    """
    keys = queries if keys is None else keys
    return jnp.arange(keys)[None, :] <= jnp.arange(queries)[:, None] + first


def padding_mask(lengths: Int[Array, "*batch"], tokens: int) -> Bool[Array, "*batch 1 {tokens}"]:
    """Return True for the first `lengths` of `tokens` keys, for every query."""
    return jnp.arange(tokens) < lengths[..., None, None]
