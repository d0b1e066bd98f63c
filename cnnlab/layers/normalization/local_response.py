"""Local response normalization: each value divided by the energy of near feature maps.

Krizhevsky, Sutskever & Hinton 2012, section 3.3 (AlexNet), with n maps about map c:

    y[c] = x[c] / s[c]^beta,   s[c] = k + alpha sum over |j - c| <= n/2 of x[j]^2

At the ends the sum has fewer maps. No parameters.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError


def local_response_norm(
    x: Float[Array, "*batch c"],
    *,
    n: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    average: bool = False,
) -> Float[Array, "*batch c"]:
    """Return `x` divided by a power of the energy of its n neighbors along the last axis.

    Computed in float32 or wider, returned in the dtype of `x`. With an even n the window has
    one map more before than after, as in PyTorch.

    Args:
        x: [*batch, c].
        n: maps in the window.
        k: keeps the divisor above 0.
        alpha: of the sum of squares.
        beta: the power.
        average: divide alpha by n (always n, at the ends too), which is what Caffe and PyTorch
            compute: their alpha is n times the paper's.

    Raises:
        UserError: for n below 1.
    """
    _check(n)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    energy = k + (alpha / n if average else alpha) * _window_sum(wide * wide, n)
    return (wide * _inverse_power(energy, beta)).astype(x.dtype)


def local_response_norm_backward(
    x: Float[Array, "*batch c"],
    dy: Float[Array, "*batch c"],
    *,
    n: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    average: bool = False,
) -> Float[Array, "*batch c"]:
    """Return the gradient with respect to `x`; arguments and errors as for the forward pass.

    Map c is in its own numerator, and in the sums of the maps j that have it in their window:

        dx[c] = dy[c] s[c]^-beta - 2 alpha beta x[c] sum over j of dy[j] x[j] s[j]^(-beta - 1)
    """
    _check(n)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    rate = alpha / n if average else alpha
    energy = k + rate * _window_sum(wide * wide, n)
    inverse = _inverse_power(energy, beta)
    # Windows that contain a map are its own, mirrored: with an even n one map more after.
    through = _window_sum(dy * wide * inverse / energy, n, mirror=True)
    return (dy * inverse - 2 * rate * beta * wide * through).astype(x.dtype)


def _window_sum(x, n: int, mirror: bool = False):
    before, after = (n - 1) // 2 if mirror else n // 2, n // 2 if mirror else (n - 1) // 2
    lead = x.ndim - 1
    # The start must be a concrete numpy scalar: only then does JAX detect a sum, which it can
    # differentiate, instead of an arbitrary reduction.
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        (1,) * lead + (n,),
        (1,) * x.ndim,
        ((0, 0),) * lead + ((before, after),),
    )


def _inverse_power(x, beta: float):
    """Return x^-beta; by roots where that is possible, which on CPU take a fifth of the time."""
    if beta == 0.75:
        root = lax.rsqrt(x)
        return root * jnp.sqrt(root)
    return lax.rsqrt(x) if beta == 0.5 else x**-beta


def _check(n: int) -> None:
    if n < 1:
        raise UserError(f"local_response_norm: n={n} must be at least 1")


class LocalResponseNorm(nn.Module):
    """Local response normalization over the last axis; the attributes are those of the function.

    Attributes:
        n: maps in the window.
        k: keeps the divisor above 0.
        alpha: of the sum of squares.
        beta: the power.
        average: divide alpha by n, as Caffe and PyTorch do.
    """

    n: int = 5
    k: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75
    average: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "*batch c"]) -> Float[Array, "*batch c"]:
        """Return the normalized feature maps; errors as for `local_response_norm`."""
        return local_response_norm(
            x, n=self.n, k=self.k, alpha=self.alpha, beta=self.beta, average=self.average
        )
