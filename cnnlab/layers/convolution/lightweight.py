"""Lightweight and dynamic convolution over time, in place of self-attention.

Wu et al. 2019 (Pay less attention with lightweight and dynamic convolutions), section 3. Depthwise
convolution over steps t whose k taps are a softmax, shared by the channels of each of H heads:

    y[t, c] = sum over u of softmax(w)[u, h] x[t + u - floor(k / 2), c],   h = floor(c H / d)

Lightweight convolution learns w (equation 5; k H parameters). Dynamic convolution predicts it at
each step from that step alone, w[t] = x[t] W_Q (equation 6; d k H parameters). Both cost n k d for
n steps, where attention costs n^2 d.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from cnnlab.errors import UserError
from cnnlab.layers.convolution.depthwise import depthwise_conv
from cnnlab.layers.convolution.padding import pad
from cnnlab.layers.initializers import xavier_uniform


def light_conv(
    x: Float[Array, "*batch t d"],
    kernel: Float[Array, "k heads"],
    *,
    causal: bool = False,
    drop_rate: float = 0.0,
    key: Key[Array, ""] | None = None,
) -> Float[Array, "*batch t d"]:
    """Return the lightweight convolution of `x`, as long as it is.

    Args:
        x: steps and channels.
        kernel: taps before the softmax, for each head.
        causal: whether a step reads only itself and the k - 1 before it, as a decoder does.
            Otherwise it is in the middle, with one step more before than after if k is even.
        drop_rate: share of the taps set to zero after the softmax, the others divided by
            1 - `drop_rate` (DropConnect, section 3).
        key: of the dropped taps; needed if `drop_rate` is above zero.

    Raises:
        UserError: if the heads do not divide the channels, or a rate comes without a key.
    """
    _check(x, kernel, "light_conv")
    taps = normalize(kernel, 0, drop_rate, key)
    every_channel = jnp.repeat(taps, x.shape[-1] // kernel.shape[1], axis=1)
    return depthwise_conv(x, every_channel[:, None], padding=[_around(kernel.shape[0], causal)])


def dynamic_conv(
    x: Float[Array, "*batch t d"],
    kernels: Float[Array, "*batch t k heads"],
    *,
    causal: bool = False,
    drop_rate: float = 0.0,
    key: Key[Array, ""] | None = None,
) -> Float[Array, "*batch t d"]:
    """Return the convolution of `x` with the kernel that each step has of its own.

    Args:
        x: steps and channels.
        kernels: taps before the softmax, for each step and head.
        causal: as for `light_conv`, and so the others.
        drop_rate: share of the taps set to zero.
        key: of the dropped taps.

    Raises:
        UserError: as `light_conv`.
    """
    _check(x, kernels, "dynamic_conv")
    taps = normalize(kernels, -2, drop_rate, key)
    steps, heads = x.shape[-2], kernels.shape[-1]
    padded = pad(x, (_around(kernels.shape[-2], causal),))
    by_head = padded.reshape(*padded.shape[:-1], heads, x.shape[-1] // heads)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    y = jnp.zeros((*x.shape[:-1], *by_head.shape[-2:]), wide)
    for u in range(kernels.shape[-2]):
        shifted = by_head[..., u : u + steps, :, :]
        y += taps[..., u, :, None].astype(wide) * shifted.astype(wide)
    return y.reshape(x.shape).astype(x.dtype)


def normalize(
    kernel: Float[Array, "*any"], axis: int, drop_rate: float = 0.0, key: Array | None = None
) -> Float[Array, "*any"]:
    """Return the softmax over the taps on `axis`, some of them dropped.

    Raises:
        UserError: for a rate outside [0, 1), or one above zero without a key.
    """
    if not 0 <= drop_rate < 1:
        raise UserError(f"lightweight convolution: drop_rate={drop_rate} must be in [0, 1)")
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    taps = jax.nn.softmax(kernel.astype(wide), axis=axis)
    if drop_rate > 0:
        if key is None:
            raise UserError(f"lightweight convolution: drop_rate={drop_rate} needs a key")
        kept = jax.random.bernoulli(key, 1 - drop_rate, taps.shape)
        taps = jnp.where(kept, taps / (1 - drop_rate), 0)
    return taps.astype(kernel.dtype)


def _around(taps: int, causal: bool) -> tuple[int, int]:
    return (taps - 1, 0) if causal else (taps // 2, (taps - 1) // 2)


def _check(x, kernel, layer: str) -> None:
    heads, taps = kernel.shape[-1], kernel.shape[-2]
    if heads < 1 or x.shape[-1] % heads:
        raise UserError(f"{layer}: {heads} heads must divide the {x.shape[-1]} channels of x")
    if taps < 1:
        raise UserError(f"{layer}: kernel {kernel.shape} has no taps")
    if x.dtype != kernel.dtype:
        raise UserError(f"{layer}: x has dtype {x.dtype} and kernel {kernel.dtype}: cast to one")


class _Lightweight(nn.Module):
    """Attributes of both convolutions.

    Attributes:
        kernel_size: taps, k.
        heads: H; the channels of each share their taps.
        causal: whether a step reads only itself and those before it.
        drop_rate: share of the taps dropped in training, by the "dropout" stream.
        kernel_init: initial weights: of the taps [k, H] before the softmax, or of `predict`.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    kernel_size: int
    heads: int
    causal: bool = False
    drop_rate: float = 0.0
    kernel_init: Callable[..., Array] = xavier_uniform
    dtype: Any = None
    param_dtype: Any = jnp.float32

    def _drop(self, train: bool) -> dict[str, Any]:
        if not train or self.drop_rate == 0:
            return {}
        return dict(drop_rate=self.drop_rate, key=self.make_rng("dropout"))


class LightConv(_Lightweight):
    """Lightweight convolution with parameter `kernel` [k, heads]; attributes of `_Lightweight`."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch t d"], *, train: bool = False
    ) -> Float[Array, "*batch t d"]:
        """Return the convolved steps; `train` drops taps."""
        shape = (self.kernel_size, self.heads)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        return light_conv(x, kernel, causal=self.causal, **self._drop(train))


class DynamicConv(_Lightweight):
    """Dynamic convolution: `predict`, a linear layer [d, k H] without bias, makes the kernels."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch t d"], *, train: bool = False
    ) -> Float[Array, "*batch t d"]:
        """Return the convolved steps; `train` drops taps."""
        predicted = nn.Dense(
            self.kernel_size * self.heads,
            use_bias=False,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="predict",
        )(x)
        kernels = predicted.reshape(*x.shape[:-1], self.kernel_size, self.heads)
        x, kernels = nn.dtypes.promote_dtype(x, kernels, dtype=self.dtype)
        return dynamic_conv(x, kernels, causal=self.causal, **self._drop(train))


class LightConvBlock(nn.Module):
    """Block of figure 2: linear d to 2 d, gated linear unit, convolution, linear d.

    A gated linear unit multiplies one half of the channels by the sigmoid of the other (Dauphin
    et al. 2017). The residual sum and the norm around the block are the caller's.

    Attributes:
        kernel_size: taps, k.
        heads: H.
        dynamic: whether the convolution is dynamic.
        causal: whether a step reads only itself and those before it.
        drop_rate: share of the taps dropped in training.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    kernel_size: int
    heads: int
    dynamic: bool = False
    causal: bool = False
    drop_rate: float = 0.0
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch t d"], *, train: bool = False
    ) -> Float[Array, "*batch t d"]:
        """Return the steps after the block; `train` drops taps."""
        types = dict(dtype=self.dtype, param_dtype=self.param_dtype)
        features = x.shape[-1]
        gated = nn.glu(nn.Dense(2 * features, name="in", **types)(x))
        layer = DynamicConv if self.dynamic else LightConv
        mixed = layer(
            self.kernel_size,
            self.heads,
            causal=self.causal,
            drop_rate=self.drop_rate,
            name="conv",
            **types,
        )(gated, train=train)
        return nn.Dense(features, name="out", **types)(mixed)
