"""Non-local block: every place of an image or clip attends to every other.

Wang et al. 2018, equations 1 to 6:

    y_i = 1 / C(x) sum over j of f(x_i, x_j) g(x_j),   z_i = W_z y_i + x_i

with f one of

    gaussian            exp(x_i^T x_j),                         C = sum over j of f
    embedded_gaussian   exp(theta(x_i)^T phi(x_j)),             C = sum over j of f
    dot_product         theta(x_i)^T phi(x_j),                  C = number of j
    concatenation       ReLU(w^T [theta(x_i), phi(x_j)]),       C = number of j

The Gaussian ones are self-attention whose scores are not divided by sqrt(d). The block starts as
the identity (section 4.1), so it can go into a trained network.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.attention.dot_product import attention
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.initializers import he_normal
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.utils.registry import pick

Places = Float[Array, "*batch places d"]
Keys = Float[Array, "*batch keys d"]
Values = Float[Array, "*batch keys d_v"]
Result = Float[Array, "*batch places d_v"]


def gaussian(theta: Places, phi: Keys, g: Values) -> Result:
    """Return the mean of `g` weighted by exp(theta^T phi), equations 2 and 3."""
    return attention(theta, phi, g, scale=1.0)


def dot_product(theta: Places, phi: Keys, g: Values) -> Result:
    """Return the mean of `g` times theta^T phi, equation 4.

    Nothing stands between the products, so the cheaper is taken first: with many places
    theta^T (phi g), which never makes the places x places matrix.
    """
    count = max(1, phi.shape[-2])
    if theta.shape[-2] * phi.shape[-2] > phi.shape[-1] * g.shape[-1]:
        return theta @ (phi.mT @ g) / count
    return (theta @ phi.mT) @ g / count


def concatenation(
    theta: Places, phi: Keys, g: Values, *, weights: Float[Array, " two_d"]
) -> Result:
    """Return the mean of `g` times ReLU(w^T [theta, phi]), equation 6."""
    d = theta.shape[-1]
    if weights.shape != (2 * d,):
        raise UserError(f"concatenation: weights {weights.shape} must be ({2 * d},)")
    # The product with the pair is a sum of two products, one for each half.
    f = jax.nn.relu((theta @ weights[:d])[..., :, None] + (phi @ weights[d:])[..., None, :])
    return f @ g / max(1, phi.shape[-2])


PAIRWISE: dict[str, Callable[..., Array]] = {
    "gaussian": gaussian,
    "embedded_gaussian": gaussian,
    "dot_product": dot_product,
    "concatenation": concatenation,
}


class NonLocal(nn.Module):
    """Non-local block on [b, *space, c]: images NHWC or clips NTHWC, of any size.

    Parameters: 1x1 convolutions `theta`, `phi`, `g` and `out` (W_z), and for the concatenation
    `pair` [2 features]. Without a norm the kernel of `out` starts at zero; with one, its scale.

    Attributes:
        pairwise: "embedded_gaussian", "gaussian", "dot_product" or "concatenation".
        features: of theta, phi and g; None is half of the channels.
        subsample: windows of max-pooling of keys and values (phi, g) along height and width; 1 is
            none. The paper's 2 takes a quarter of the pairs.
        norm: makes a norm to follow `out`, called with `scale_init` and `name`; the paper's is
            batch norm: partial(nn.BatchNorm, use_running_average=False).
        use_bias: whether the convolutions have one.
        kernel_init: initial weights.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    pairwise: str = "embedded_gaussian"
    features: int | None = None
    subsample: int = 1
    norm: Callable[..., Any] | None = None
    use_bias: bool = True
    kernel_init: Callable[..., Array] = he_normal
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b *space c"]:
        """Return x plus the attention of each place to all.

        Raises:
            UserError: for an unknown `pairwise`, or x without places.
        """
        operation = pick(PAIRWISE, self.pairwise, "pairwise function of NonLocal")
        if x.ndim < 3:
            raise UserError(f"NonLocal: x {x.shape} must be [b, *space, c]")
        if self.subsample < 1:
            raise UserError(f"NonLocal: subsample={self.subsample} must be at least 1")
        zeros, channels = nn.initializers.zeros_init(), x.shape[-1]
        features = max(1, channels // 2) if self.features is None else self.features
        bare = self.pairwise == "gaussian"
        theta = x if bare else self._project(features, "theta")(x)
        phi = self._pool(x if bare else self._project(features, "phi")(x))
        g = self._pool(self._project(features, "g")(x))
        more = {}
        if self.pairwise == "concatenation":
            normal = nn.initializers.normal((2 * features) ** -0.5)
            pair = self.param("pair", normal, (2 * features,), self.param_dtype)
            more["weights"] = pair.astype(theta.dtype)
        # Without a projection of its own x may be of another dtype than g.
        theta, phi, g = nn.dtypes.promote_dtype(*map(_flat, (theta, phi, g)), dtype=g.dtype)
        y = operation(theta, phi, g, **more).reshape(*x.shape[:-1], features)
        initial = zeros if self.norm is None else self.kernel_init
        y = self._project(channels, "out", initial)(y)
        if self.norm is not None:
            y = self.norm(scale_init=zeros, name="norm")(y)
        return x + y

    def _project(self, features, name, kernel_init=None):
        return Conv(
            features,
            (1,),
            use_bias=self.use_bias,
            kernel_init=self.kernel_init if kernel_init is None else kernel_init,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name=name,
        )

    def _pool(self, x):
        axes = min(2, x.ndim - 2)
        window = tuple(min(self.subsample, size) for size in x.shape[-1 - axes : -1])
        return x if max(window, default=1) == 1 else max_pool(x, window, stride=window)


def _flat(x):
    return x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
