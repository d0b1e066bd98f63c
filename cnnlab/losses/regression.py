"""Losses for real-valued targets."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped


def squared_error(
    output: Float[Array, "*b k"], target: Shaped[Array, "*b k"]
) -> Float[Array, "*b"]:
    """Return the mean over the k outputs of (output - target)^2.

    For a Gaussian with mean `output` and covariance s^2 I the negative log-likelihood is
    k / (2 s^2) times this, plus k / 2 log(2 pi s^2): the same minimum whatever s. With
    s^2 = k / 2 the factor is 1. Gradient: 2 (output - target) / k.
    """
    difference = output.astype(jnp.float32) - target.astype(jnp.float32)
    return jnp.mean(jnp.square(difference), axis=-1)
