"""Backward pass of scaled dot-product attention: gradients of queries, keys and values.

Of Vaswani et al. 2017, equation 1, with A = softmax(S), S = Q K^T / sqrt(d), Y = A V, and o the
product place by place:

    dV = A^T dY
    dA = dY V^T
    dS = A o (dA - rowsum(dA o A))
    dQ = dS K / sqrt(d)
    dK = dS^T Q / sqrt(d)
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from cnnlab.layers.attention.dot_product import attention_weights, check


def attention_backward(
    q: Float[Array, "*batch queries d"],
    k: Float[Array, "*batch keys d"],
    v: Float[Array, "*batch keys d_v"],
    dy: Float[Array, "*batch queries d_v"],
    *,
    mask: Bool[Array, "..."] | None = None,
    bias: Float[Array, "..."] | None = None,
) -> tuple[
    Float[Array, "*batch queries d"], Float[Array, "*batch keys d"], Float[Array, "*batch keys d_v"]
]:
    """Return the gradients (dq, dk, dv) of `attention`, given that of its result.

    Args:
        q: queries.
        k: keys.
        v: values.
        dy: gradient of the loss by what `attention(q, k, v, mask=mask, bias=bias)` returns.
        mask: as for `attention`.
        bias: as for `attention`; its own gradient, before summing what was broadcast, is dS.

    Raises:
        UserError: as `attention`.
    """
    check(q, k, v, mask, bias)
    scale = q.shape[-1] ** -0.5
    a = attention_weights(q, k, mask, bias, scale=scale)
    dv = a.mT @ dy
    da = dy @ v.mT
    ds = a * (da - jnp.sum(da * a, axis=-1, keepdims=True))
    dq, dk = ds @ k * scale, ds.mT @ q * scale
    return dq.astype(q.dtype), dk.astype(k.dtype), dv.astype(v.dtype)
