"""Multi-head attention: heads that attend on projections of the tokens of their own.

Vaswani et al. 2017, section 3.2.2, for self-attention Q = K = V = X:

    multi_head(X) = concat_h(attention(X Wq_h, X Wk_h, X Wv_h)) Wo
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from cnnlab.errors import UserError
from cnnlab.layers.attention.dot_product import attention
from cnnlab.layers.initializers import xavier_uniform, zeros


class MultiHeadAttention(nn.Module):
    """Multi-head attention, of tokens to each other or to other tokens (cross-attention).

    Parameters: `query`, `key` and `value` with `kernel`
    [c, heads, d] and `bias` [heads, d], and `out` with `kernel` [heads, d, out_features] and
    `bias`: the layout of flax's own layer, with interchangeable parameters.

    Attributes:
        heads: how many.
        features: of all heads together, heads times d; None is as many as the queries have.
        out_features: of the result; None is as many as the queries have.
        use_bias: whether the four projections have one.
        drop_rate: share of the weights dropped in training; takes its key from "dropout".
        kernel_init: initial weights, of each projection as one matrix.
        bias_init: initial biases.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    heads: int
    features: int | None = None
    out_features: int | None = None
    use_bias: bool = True
    drop_rate: float = 0.0
    kernel_init: Callable[..., Array] = xavier_uniform
    bias_init: Callable[..., Array] = zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        query: Float[Array, "*batch queries c"],
        key: Float[Array, "*batch keys c_k"] | None = None,
        value: Float[Array, "*batch keys c_v"] | None = None,
        *,
        mask: Bool[Array, "..."] | None = None,
        bias: Float[Array, "..."] | None = None,
        train: bool = False,
        return_weights: bool = False,
    ) -> Any:
        """Return [*batch, queries, out_features], with `return_weights` also those of each head.

        Args:
            query: tokens that attend.
            key: tokens that are attended to; None is `query` (self-attention).
            value: their values; None is `key`.
            mask: True where to attend, broadcast to [*batch, queries, keys]; for all heads.
            bias: of the scores, broadcast to [*batch, heads, queries, keys].
            train: whether weights are dropped.
            return_weights: return the weights [*batch, heads, queries, keys], too.

        Raises:
            UserError: for features that the heads cannot share, and as `attention`.
        """
        key = query if key is None else key
        value = key if value is None else value
        features = query.shape[-1] if self.features is None else self.features
        if self.heads < 1 or features % self.heads:
            raise UserError(
                f"MultiHeadAttention: heads={self.heads} must divide the {features} features"
            )
        d = features // self.heads
        inputs = {"query": query, "key": key, "value": value}
        split = {
            name: Projection((x.shape[-1],), (self.heads, d), name=name, **self._shared())(x)
            for name, x in inputs.items()
        }
        y = attention(
            *(jnp.swapaxes(x, -2, -3) for x in split.values()),
            mask=mask if mask is None else jnp.expand_dims(jnp.atleast_2d(mask), -3),
            bias=bias,
            drop_rate=self.drop_rate if train else 0.0,
            dropout_key=self.make_rng("dropout") if train and self.drop_rate > 0 else None,
            return_weights=return_weights,
        )
        y, weights = y if return_weights else (y, None)
        out = query.shape[-1] if self.out_features is None else self.out_features
        project = Projection((self.heads, d), (out,), name="out", **self._shared())
        y = project(jnp.swapaxes(y, -2, -3))
        return (y, weights) if return_weights else y

    def _shared(self) -> dict[str, Any]:
        names = ("use_bias", "kernel_init", "bias_init", "dtype", "param_dtype")
        return {name: getattr(self, name) for name in names}


class Projection(nn.Module):
    """Linear map of the last axes, `inputs`, to `outputs`: one matrix, kept in that many axes."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    use_bias: bool
    kernel_init: Callable[..., Array]
    bias_init: Callable[..., Array]
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return [*batch, *outputs]."""
        matrix = (math.prod(self.inputs), math.prod(self.outputs))

        def initial(key, shape, dtype):
            return self.kernel_init(key, matrix, dtype).reshape(shape)

        shape = (*self.inputs, *self.outputs)
        kernel = self.param("kernel", initial, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, self.outputs, self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = jnp.tensordot(x, kernel, axes=len(self.inputs))
        return y if bias is None else y + bias
