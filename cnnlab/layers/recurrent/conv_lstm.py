"""Convolutional LSTM: a recurrent layer whose states are images.

Shi et al. 2015, equation 3, with * a convolution and o the product place by place:

    i_t = sigmoid(Wxi * X_t + Whi * H_{t-1} + Wci o C_{t-1} + bi)
    f_t = sigmoid(Wxf * X_t + Whf * H_{t-1} + Wcf o C_{t-1} + bf)
    C_t = f_t o C_{t-1} + i_t o tanh(Wxc * X_t + Whc * H_{t-1} + bc)
    o_t = sigmoid(Wxo * X_t + Who * H_{t-1} + Wco o C_t + bo)
    H_t = o_t o tanh(C_t)

The four gates lie side by side in the channels of kernels and bias, in the order i, f, c, o; the
peepholes Wci, Wcf, Wco on the first axis of theirs. States are (H, C). Convolutions are padded to
keep the size, so that the state outside of the image is zero.
Deviation: peepholes may be left out, or shared by all places.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.windows import flatten
from cnnlab.layers.recurrent.conv_lstm_backward import (
    Trace,
    check,
    conv_lstm_backward,
    convolve,
    pads,
)

Image = Float[Array, "*batch h w features"]
State = tuple[Image, Image]


def conv_lstm_step(
    state: State,
    x: Float[Array, "*batch h w c"],
    kernel_x: Float[Array, "kx lx c gates"],
    kernel_h: Float[Array, "kh lh features gates"],
    *,
    bias: Float[Array, " gates"] | None = None,
    peepholes: Float[Array, "3 ..."] | None = None,
) -> State:
    """Return the state (H, C) after one image.

    Args:
        state: (H, C) so far; zeros at first.
        x: the image, of the size of the state.
        kernel_x: from image to gates, [kh, kw, c, 4 features].
        kernel_h: from H to gates, [kh, kw, features, 4 features].
        bias: of the gates.
        peepholes: Wci, Wcf and Wco, [3, h, w, features] or what broadcasts to it; None is without.

    Raises:
        UserError: for shapes or dtypes that do not fit.
    """
    arrays = {"x": x, "kernel_x": kernel_x, "kernel_h": kernel_h, "peepholes": peepholes}
    check(arrays, state, x.shape[:-1])
    return _update(state, conv(x, kernel_x, bias), kernel_h, peepholes)[0]


def conv_lstm(
    x: Float[Array, "*sequences h w c"],
    kernel_x: Float[Array, "kx lx c gates"],
    kernel_h: Float[Array, "kh lh features gates"],
    *,
    bias: Float[Array, " gates"] | None = None,
    peepholes: Float[Array, "3 ..."] | None = None,
    state: State | None = None,
    unroll: int = 1,
) -> tuple[Float[Array, "*sequences h w features"], State]:
    """Return H after each image of a sequence, and the last state (H, C).

    The images of all times are convolved at once; only the states are sequential. On CPU the
    gradients are `conv_lstm_backward`'s, elsewhere those of the plain loop.

    Args:
        x: sequences of images, [*batch, time, h, w, c].
        kernel_x: from image to gates, [kh, kw, c, 4 features].
        kernel_h: from H to gates, [kh, kw, features, 4 features].
        bias: of the gates.
        peepholes: Wci, Wcf and Wco, [3, h, w, features] or what broadcasts to it; None is without.
        state: (H, C) at first; None is zeros.
        unroll: steps that are compiled one after the other instead of in a loop. On CPU that gains
            nothing, and compiling takes as many times longer.

    Raises:
        UserError: for shapes or dtypes that do not fit.
    """
    if x.ndim < 4:
        raise UserError(f"conv_lstm: x {x.shape} must be [*batch, time, h, w, c]")
    features = kernel_h.shape[-2]
    *batch, time, h, w, _ = x.shape
    arrays = {"x": x, "kernel_x": kernel_x, "kernel_h": kernel_h, "peepholes": peepholes}
    check(arrays, state, (*batch, h, w))
    zeros = jnp.zeros((*batch, h, w, features), x.dtype)
    h0, c0 = (zeros, zeros) if state is None else state
    # Time first, and one axis of examples.
    images = jnp.swapaxes(x.reshape(prod(batch), *x.shape[-4:]), 0, 1)
    arguments = (images, kernel_x, kernel_h, bias, peepholes, (flatten(h0, 2), flatten(c0, 2)))
    steps = max(1, min(unroll, time))
    hs, last = lax.platform_dependent(
        *arguments, cpu=partial(_by_hand, steps), default=partial(_plain, steps)
    )
    hs = jnp.swapaxes(hs, 0, 1).reshape(*batch, time, h, w, features)
    h, c = (s.reshape(zeros.shape) for s in last)
    return hs, (h, c)


def conv_lstm_forward(
    x: Float[Array, "time batch h w c"],
    kernel_x: Float[Array, "kx lx c gates"],
    kernel_h: Float[Array, "kh lh features gates"],
    *,
    state: State,
    bias: Float[Array, " gates"] | None = None,
    peepholes: Float[Array, "3 ..."] | None = None,
    unroll: int = 1,
) -> tuple[State, Trace]:
    """Return the last (H, C) of `conv_lstm`, and all that `conv_lstm_backward` needs.

    Time is the first axis here.

    Args:
        x: the images.
        kernel_x: from image to gates.
        kernel_h: from H to gates.
        state: (H, C) at first.
        bias: of the gates.
        peepholes: Wci, Wcf and Wco; None is without.
        unroll: see `conv_lstm`.

    Raises:
        UserError: as `conv_lstm`.
    """
    arrays = {"x": x, "kernel_x": kernel_x, "kernel_h": kernel_h, "peepholes": peepholes}
    check(arrays, state, x.shape[1:-1])

    def step(state, gates):
        (h, c), nonlinear = _update(state, gates, kernel_h, peepholes)
        return (h, c), (h, c, nonlinear)

    last, trace = lax.scan(step, state, conv(x, kernel_x, bias), unroll=unroll)
    return last, Trace(*trace)


def _plain(unroll, x, kernel_x, kernel_h, bias, peepholes, state):
    """Return H of all times [time, batch, h, w, features], and the last state."""

    def step(state, gates):
        state, _ = _update(state, gates, kernel_h, peepholes)
        return state, state[0]

    last, hs = lax.scan(step, state, conv(x, kernel_x, bias), unroll=unroll)
    return hs, last


# On CPU reading and writing memory for jax's own gradients of the loop takes longer than computing.
_by_hand = jax.custom_vjp(_plain, nondiff_argnums=(0,))


def _by_hand_forward(unroll, x, kernel_x, kernel_h, bias, peepholes, state):
    last, trace = conv_lstm_forward(
        x, kernel_x, kernel_h, state=state, bias=bias, peepholes=peepholes, unroll=unroll
    )
    return (trace.hs, last), (x, kernel_x, kernel_h, bias, peepholes, state, trace)


def _by_hand_backward(unroll, saved, gradients):
    x, kernel_x, kernel_h, bias, peepholes, state, trace = saved
    d = conv_lstm_backward(
        x, kernel_x, kernel_h, trace, *gradients, state=state, peepholes=peepholes, unroll=unroll
    )
    dbias = None if bias is None else d.bias
    return d.x, d.kernel_x, d.kernel_h, dbias, d.peepholes, d.state


_by_hand.defvjp(_by_hand_forward, _by_hand_backward)


def _update(state, gates, kernel_h, peepholes):
    """Return the next state, given the gates' inputs from the image, and (i, f, g, o)."""
    h, c = state
    gates += convolve(flatten(h, 2), kernel_h, pads(kernel_h)).reshape(gates.shape)
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    if peepholes is not None:
        i, f = i + peepholes[0] * c, f + peepholes[1] * c
    i, f, g = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g)
    c = f * c + i * g
    if peepholes is not None:
        o = o + peepholes[2] * c
    o = jax.nn.sigmoid(o)
    return (o * jnp.tanh(c), c), (i, f, g, o)


class ConvLSTM(nn.Module):
    """Convolutional LSTM over a sequence of images.

    Parameters: `kernel_x` [kh, kw, c, 4 features], `kernel_h` [kh, kw, features, 4 features],
    `bias` [4 features], `peepholes` [3, h, w, features]; gates in the order i, f, c, o.

    Attributes:
        features: channels of the state.
        kernel_size: height and width of both kernels.
        peepholes: whether the gates read the cell; then images must keep the size of the first.
        shared_peepholes: one peephole a channel, [3, 1, 1, features], for images of any size.
        use_bias: whether the gates have one.
        forget_bias: its initial value for the forget gate; above 0 the cell remembers at first
            (Gers et al. 2000).
        kernel_init: initial weights of both kernels, of all gates as one kernel.
        peephole_init: initial peepholes.
        unroll: see `conv_lstm`.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    kernel_size: Sequence[int] = (3, 3)
    peepholes: bool = True
    shared_peepholes: bool = False
    use_bias: bool = True
    forget_bias: float = 0.0
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    peephole_init: Callable[..., Array] = nn.initializers.zeros_init()
    unroll: int = 1
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*sequences h w c"],
        state: State | None = None,
        *,
        return_state: bool = False,
    ) -> Any:
        """Return H of all times [*batch, time, h, w, features], on request also the last (H, C).

        Args:
            x: sequences of images, [*batch, time, h, w, c].
            state: (H, C) at first; None is zeros.
            return_state: return the last (H, C), too.

        Raises:
            UserError: as `conv_lstm`.
        """
        if x.ndim < 4:
            raise UserError(f"ConvLSTM: x {x.shape} must be [*batch, time, h, w, c]")
        gates, (h, w, c) = 4 * self.features, x.shape[-3:]

        def forget(key, shape, dtype):
            gate = jnp.arange(gates) // self.features
            return jnp.where(gate == 1, self.forget_bias, 0).astype(dtype)

        window = tuple(self.kernel_size)
        shapes = {"kernel_x": (*window, c, gates), "kernel_h": (*window, self.features, gates)}
        p = {n: self.param(n, self.kernel_init, s, self.param_dtype) for n, s in shapes.items()}
        if self.use_bias:
            p["bias"] = self.param("bias", forget, (gates,), self.param_dtype)
        if self.peepholes:
            places = (1, 1) if self.shared_peepholes else (h, w)
            shape = (3, *places, self.features)
            p["peepholes"] = self.param("peepholes", self.peephole_init, shape, self.param_dtype)
        arrays = {"x": x, **p} if state is None else {"x": x, **p, "h": state[0], "c": state[1]}
        wide = nn.dtypes.promote_dtype(*arrays.values(), dtype=self.dtype)
        arrays = dict(zip(arrays, wide, strict=True))
        if state is not None:
            state = (arrays.pop("h"), arrays.pop("c"))
        y, state = conv_lstm(**arrays, state=state, unroll=self.unroll)
        return (y, state) if return_state else y
