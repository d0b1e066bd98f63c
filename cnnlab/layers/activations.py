"""Activation functions, each with the initializer that keeps the variance of its output."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.layers import initializers


def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return max(x, 0); the derivative at 0 is 0 (Nair & Hinton 2010)."""
    return jax.nn.relu(x)


def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the hyperbolic tangent."""
    return jnp.tanh(x)


def scaled_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return 1.7159 tanh(2x/3), which maps 1 to 1 and -1 to -1 (LeCun et al. 1998, appendix A)."""
    return 1.7159 * jnp.tanh(x * (2 / 3))


class ReLU(nn.Module):
    """Rectified linear unit max(x, 0) (Nair & Hinton 2010)."""

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return max(x, 0)."""
        return relu(x)


class ScaledTanh(nn.Module):
    """Hyperbolic tangent 1.7159 tanh(2x/3) of LeNet-5 (LeCun et al. 1998, appendix A)."""

    @nn.compact
    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return 1.7159 tanh(2x/3)."""
        return scaled_tanh(x)


class Activation(NamedTuple):
    """A function of each value, and the initial weights for the layer before it."""

    function: Callable[[Array], Array]
    kernel_init: Callable[..., Array]


# He et al. 2015 for ReLU, which halves the mean square; 1 / fan_in for tanh, which about 0 is
# linear (LeCun et al. 1998: uniform within 2.4 / fan_in).
ACTIVATIONS = {
    "relu": Activation(relu, initializers.he_normal),
    "tanh": Activation(tanh, initializers.lecun_normal),
    "scaled_tanh": Activation(scaled_tanh, initializers.lecun_normal),
}
