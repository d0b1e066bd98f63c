"""Distances between all rows of one array and all rows of another.

[n, d] and [m, d] -> [n, m] float32, whatever the float type that comes in. Made from a product of
matrices, not from n x m x d differences; for squared distances both arrays are shifted by the mean
of the second, which changes no distance and keeps the digits of those between embeddings that lie
close together, as collapsed ones do. What is below the rounding of this form is 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# In units of the sum of the squared norms: below it a squared distance is rounding.
ROUNDING = 8 * float(jnp.finfo(jnp.float32).eps)
# What has no larger component counts as 0.
TINY = 1e-30


def unit(x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    """Return x / |x| over the last axis in float32; 0, with gradient 0, where x is 0."""
    x = x.astype(jnp.float32)
    # Scaled first, so that the squares of small and large numbers stay in range.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=-1, keepdims=True))
    zero = largest <= TINY
    x = x / jnp.where(zero, 1.0, largest)
    norm = jnp.sqrt(jnp.where(zero, 1.0, jnp.sum(jnp.square(x), axis=-1, keepdims=True)))
    return jnp.where(zero, 0.0, x / norm)


def products(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """Return all inner products in float32, without the shorter formats of GPUs and TPUs."""
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    return jnp.einsum("nd,md->nm", a, b, precision=jax.lax.Precision.HIGHEST)


def squared_euclidean(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """Return |a_i - b_j|^2. Gradient for a_i: 2 (a_i - b_j)."""
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    center = jax.lax.stop_gradient(jnp.mean(b, axis=0))
    a, b = a - center, b - center
    norms = jnp.sum(jnp.square(a), axis=-1)[:, None] + jnp.sum(jnp.square(b), axis=-1)
    squares = norms - 2 * products(a, b)
    return jnp.where(squares < ROUNDING * norms, 0.0, squares)


def euclidean(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """Return |a_i - b_j|. Gradient for a_i: (a_i - b_j) / |a_i - b_j|, and 0 at distance 0."""
    return _root(squared_euclidean(a, b))


def paired_euclidean(a: Float[Array, "b d"], b: Float[Array, "b d"]) -> Float[Array, "b"]:
    """Return |a_i - b_i|, of rows in pairs; gradient 0 at distance 0."""
    difference = a.astype(jnp.float32) - b.astype(jnp.float32)
    return _root(jnp.sum(jnp.square(difference), axis=-1))


def cosine(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """Return 1 - cos(a_i, b_j), in [0, 2] but for rounding; 1, with gradient 0, for rows of 0."""
    return 1 - products(unit(a), unit(b))


def _root(squares):
    # The root's derivative is infinite at 0, and 0 times infinity is NaN: it must not see the 0.
    touching = squares <= 0
    return jnp.where(touching, 0.0, jnp.sqrt(jnp.where(touching, 1.0, squares)))


DISTANCES = {"squared": squared_euclidean, "euclidean": euclidean, "cosine": cosine}
