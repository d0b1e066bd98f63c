"""Gated recurrent unit, over a sequence.

Cho et al. 2014 (Learning phrase representations using RNN encoder-decoder), equations 5 to 8, with
x the product place by place:

    r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)                reset gate
    z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)                update gate
    n_t = tanh(W_n x_t + U_n (r_t x h_{t-1}) + b_n)           candidate
    h_t = z_t x h_{t-1} + (1 - z_t) x n_t

The three are concatenated in the columns of kernels and bias, in the order r, z, n. A sequence
[*batch, time, c] gives the states [*batch, time, features]; the first state is zero.

Deviations: biases, which the paper leaves out for brevity. With `reset="after"` the gate comes
after the product, n_t = tanh(W_n x_t + b_n + r_t x (U_n h_{t-1} + b_hn)), as in cuDNN and
PyTorch: one product a step where the paper's takes two.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.initializers import orthonormal, zeros
from cnnlab.utils.registry import pick

RESETS = {"before": "r x h, then the product", "after": "the product, then r"}


def gru(
    x: Float[Array, "*batch time c"],
    kernel_x: Float[Array, "_ gates_x"],
    kernel_h: Float[Array, "features gates"],
    *,
    bias: Float[Array, " gates_x"] | None = None,
    bias_h: Float[Array, " features"] | None = None,
    state: Float[Array, "..."] | None = None,
    reset: str = "before",
    unroll: int = 1,
) -> Float[Array, "*batch time features"]:
    """Return the state after each element of a sequence.

    All x are multiplied at once; only the states are sequential.

    Args:
        x: the sequences.
        kernel_x: from x to (r, z, n), [c, 3 features].
        kernel_h: from h to (r, z, n), [features, 3 features].
        bias: of (r, z, n).
        bias_h: b_hn, with `reset="after"` only.
        state: h at first; None is zeros.
        reset: "before" the product with U_n (the paper's) or "after" it.
        unroll: steps that are compiled one after the other instead of in a loop. On CPU that gains
            nothing, and compiling takes as many times longer.

    Raises:
        UserError: for shapes that do not fit, an unknown `reset`, or a `bias_h` without use.
    """
    pick(RESETS, reset, "gru.reset")
    features = kernel_h.shape[0]
    *batch, time, channels = x.shape
    if kernel_x.shape != (channels, 3 * features) or kernel_h.shape[1] != 3 * features:
        raise UserError(
            f"gru: kernels {kernel_x.shape} and {kernel_h.shape} for x {x.shape}: they need to be "
            f"({channels}, {3 * features}) and ({features}, {3 * features})"
        )
    if bias_h is not None and reset == "before":
        raise UserError("gru: bias_h needs reset='after'")
    h = jnp.zeros((*batch, features), x.dtype) if state is None else state
    if h.shape != (*batch, features):
        raise UserError(f"gru: state {h.shape} for x {x.shape}: needs {(*batch, features)}")
    own = x @ kernel_x
    own = own if bias is None else own + bias
    # Time first, and one axis of examples.
    own = jnp.swapaxes(own.reshape(prod(batch), time, 3 * features), 0, 1)

    def step(h, from_x):
        h = _update(h, from_x, kernel_h, bias_h, reset)
        return h, h

    last = h.reshape(prod(batch), features)
    _, states = lax.scan(step, last, own, unroll=max(1, min(unroll, time)))
    return jnp.swapaxes(states, 0, 1).reshape(*batch, time, features)


def _update(h, from_x, kernel_h, bias_h, reset: str):
    """Return the next state [b, features], given the projection of the element [b, 3 features]."""
    features = h.shape[-1]
    x_gates, x_candidate = jnp.split(from_x, (2 * features,), axis=-1)
    to_gates, to_candidate = jnp.split(kernel_h, (2 * features,), axis=-1)
    if reset == "before":
        r, z = jnp.split(jax.nn.sigmoid(x_gates + h @ to_gates), 2, axis=-1)
        candidate = (r * h) @ to_candidate
    else:
        gates, candidate = jnp.split(h @ kernel_h, (2 * features,), axis=-1)
        r, z = jnp.split(jax.nn.sigmoid(x_gates + gates), 2, axis=-1)
        candidate = r * (candidate if bias_h is None else candidate + bias_h)
    return z * h + (1 - z) * jnp.tanh(x_candidate + candidate)


class GRU(nn.Module):
    """Gated recurrent unit over a sequence.

    Parameters: `kernel_x` [c, 3 features], `kernel_h` [features, 3 features], `bias` [3 features],
    and with `reset="after"` `bias_h` [features]; r, z, n side by side.

    Attributes:
        features: size of the state.
        reset: "before" the product with U_n (the paper's) or "after" it.
        use_bias: whether there are biases.
        kernel_init: initial weights from x, of r, z and n as one kernel.
        recurrent_init: initial weights from h, of each of the three by itself.
        unroll: see `gru`.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    reset: str = "before"
    use_bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    recurrent_init: Callable[..., Array] = orthonormal
    unroll: int = 1
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch time c"],
        state: Float[Array, "*batch features"] | None = None,
    ) -> Float[Array, "*batch time features"]:
        """Return the state after each element; errors as for `gru`."""
        features, gates = self.features, 3 * self.features

        def recurrent(key, shape, dtype):
            square = (shape[0], shape[0])
            parts = [self.recurrent_init(k, square, dtype) for k in jax.random.split(key, 3)]
            return jnp.concatenate(parts, axis=1)

        p = {
            "kernel_x": self.param(
                "kernel_x", self.kernel_init, (x.shape[-1], gates), self.param_dtype
            ),
            "kernel_h": self.param("kernel_h", recurrent, (features, gates), self.param_dtype),
        }
        if self.use_bias:
            p["bias"] = self.param("bias", zeros, (gates,), self.param_dtype)
        if self.use_bias and self.reset == "after":
            p["bias_h"] = self.param("bias_h", zeros, (features,), self.param_dtype)
        arrays = {"x": x, **p} if state is None else {"x": x, "state": state, **p}
        wide = nn.dtypes.promote_dtype(*arrays.values(), dtype=self.dtype)
        return gru(**dict(zip(arrays, wide, strict=True)), reset=self.reset, unroll=self.unroll)
