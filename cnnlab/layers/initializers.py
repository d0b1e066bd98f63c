"""Initializers of weights by paper: functions of (key, shape, dtype), as in flax.

    normal          std chosen by hand (Krizhevsky et al. 2012: 0.01)
    lecun_normal    variance 1 / fan_in (LeCun et al. 1998, Efficient BackProp, section 4.6)
    xavier_*        variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12 and 16)
    he_*            variance 2 / fan_in (He et al. 2015, eq. 10), for ReLU, which halves a signal
    orthonormal     all singular values 1 (Saxe et al. 2014)
    zeros           no gradient below the last bias

For a kernel [*window, c_in / groups, c_out], fan_in = prod(window) c_in / groups: the number of
values that one output is a sum of. fan_out = prod(window) c_out.

The lecture's slide with the caption Xavier prints sqrt(2 / size of the input vector). That is He's
standard deviation; Xavier's is sqrt(2 / (fan_in + fan_out)).

Deviation: the three with normal weights are cut at two standard deviations, and scaled so that
the variance is the one named (flax and TensorFlow do so; the papers do not cut).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError

# Standard deviation of a standard normal number, given that it is between -2 and 2.
CUT_STD = 0.87962566103423978


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return fan_in and fan_out of a kernel [*window, c_in / groups, c_out].

    Raises:
        UserError: for fewer than two axes.
    """
    if len(shape) < 2:
        raise UserError(f"initializers: a kernel needs two axes or more, not {tuple(shape)}")
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def zeros(key: Array | None, shape: Sequence[int], dtype: Any = jnp.float32) -> Float[Array, "..."]:
    """Return zeros; the key is not used.

    For biases. As weights of a network whose activation maps 0 to 0, every gradient but that of
    the last bias is 0, forever.
    """
    return jnp.zeros(shape, dtype)


def normal(
    key: Array, shape: Sequence[int], dtype: Any = jnp.float32, *, std: float = 0.01
) -> Float[Array, "..."]:
    """Return normal numbers of one standard deviation, whatever the fans."""
    return std * jax.random.normal(key, shape, dtype)


def lecun_normal(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Float[Array, "..."]:
    """Return normal weights of variance 1 / fan_in, which keep that of a linear signal."""
    return _cut_normal(key, shape, dtype, 1 / max(fans(shape)[0], 1))


def xavier_normal(
    key: Array, shape: Sequence[int], dtype: Any = jnp.float32
) -> Float[Array, "..."]:
    """Return normal weights of variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12)."""
    return _cut_normal(key, shape, dtype, 2 / max(sum(fans(shape)), 1))


def xavier_uniform(
    key: Array, shape: Sequence[int], dtype: Any = jnp.float32
) -> Float[Array, "..."]:
    """Return uniform weights within sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16)."""
    return _uniform(key, shape, dtype, 2 / max(sum(fans(shape)), 1))


def he_normal(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Float[Array, "..."]:
    """Return normal weights of variance 2 / fan_in (He et al. 2015, eq. 10)."""
    return _cut_normal(key, shape, dtype, 2 / max(fans(shape)[0], 1))


def he_uniform(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Float[Array, "..."]:
    """Return uniform weights within sqrt(6 / fan_in), of He's variance."""
    return _uniform(key, shape, dtype, 2 / max(fans(shape)[0], 1))


def orthonormal(
    key: Array, shape: Sequence[int], dtype: Any = jnp.float32, *, gain: float = 1.0
) -> Float[Array, "..."]:
    """Return a random kernel whose matrix [fan_in, c_out] has orthonormal columns, times `gain`.

    With more filters than inputs the rows are orthonormal. Every such matrix is as likely as any
    other (the signs of the QR decomposition are taken out). Saxe et al. 2014, section 3.
    """
    inputs, outputs = fans(shape)[0], shape[-1]
    wide = jnp.promote_types(dtype, jnp.float32)
    matrix = jax.random.normal(key, (max(inputs, outputs), min(inputs, outputs)), wide)
    q, r = jnp.linalg.qr(matrix)
    q = q * jnp.where(jnp.diag(r) < 0, -1, 1)
    q = q if inputs >= outputs else q.T
    return (gain * q).reshape(shape).astype(dtype)


def _cut_normal(key, shape, dtype, variance: float):
    std = math.sqrt(variance) / CUT_STD
    return jax.random.truncated_normal(key, -2, 2, shape, dtype) * jnp.asarray(std, dtype)


def _uniform(key, shape, dtype, variance: float):
    limit = math.sqrt(3 * variance)
    return jax.random.uniform(key, shape, dtype, -limit, limit)


INITIALIZERS: dict[str, Callable[..., Array]] = {
    "zeros": zeros,
    "normal": normal,
    "lecun_normal": lecun_normal,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "orthonormal": orthonormal,
}
