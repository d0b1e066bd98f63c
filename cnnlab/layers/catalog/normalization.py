"""Catalog entries: normalization, dropout and activations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.layers.activations import ReLU, ScaledTanh, relu, scaled_tanh
from cnnlab.layers.catalog.layer import Layer, normal
from cnnlab.layers.dropout import Dropout, dropout
from cnnlab.layers.normalization.batch_norm import BatchNorm, batch_norm_backward, batch_norm_train
from cnnlab.layers.normalization.local_response import LocalResponseNorm


def _batch_norm():
    # Four values of one feature: mean 3, variance 3.5.
    x, dy = jnp.array([[1.0], [2.0], [3.0], [6.0]]), jnp.array([[1.0], [0.0], [0.0], [0.0]])
    scale, bias = jnp.array([2.0]), jnp.array([1.0])
    y = batch_norm_train(x, scale, bias)[0]
    dx = batch_norm_backward(x, scale, dy)[0]
    expected = [
        [-1.138087, -0.069043, 1.0, 4.207130],
        [0.496342, -0.419981, -0.267261, 0.190899],
    ]
    return np.stack([y[:, 0], dx[:, 0]]), np.array(expected)


def _local_response():
    # Windows of three maps; beta 1 leaves fractions: 1/(1+5), 2/(1+14), 3/(1+13).
    layer = LocalResponseNorm(n=3, k=1.0, alpha=1.0, beta=1.0)
    return layer.apply({}, jnp.array([[1.0, 2.0, 3.0]])), np.array([[1 / 6, 2 / 15, 3 / 14]])


def _of_one_row(layer: nn.Module):
    # Mean 3 and variance 3.5, by image here: the numbers of batch normalization.
    y, _ = layer.init_with_output(jax.random.key(0), jnp.array([[1.0, 2.0, 3.0, 6.0]]))
    return y, np.array([[-1.069043, -0.534522, 0.0, 1.603565]])


def _dropout():
    # Kept values double, so that the mean stays.
    y = dropout(jax.random.key(0), jnp.ones(64), 0.5)
    return np.unique(y), np.array([0.0, 2.0])


ENTRIES: dict[str, Layer] = {
    "batch_norm": Layer(
        module=BatchNorm,
        inputs=normal(4, 4, 3),
        paper="Ioffe & Szegedy 2015, algorithm 1",
        formula="y = scale (x - mean) / sqrt(var + eps) + bias, by feature over the batch",
        example=_batch_norm,
        call={"train": True},
        joint=True,
    ),
    "layer_norm": Layer(
        module=nn.LayerNorm,
        inputs=normal(4, 6),
        paper="Ba, Kiros & Hinton 2016, eq. 3",
        formula="y = scale (x - mean) / sqrt(var + eps) + bias, over the channels",
        example=lambda: _of_one_row(nn.LayerNorm(epsilon=1e-5)),
    ),
    "group_norm": Layer(
        module=lambda: nn.GroupNorm(num_groups=2),
        inputs=normal(4, 4, 6),
        paper="Wu & He 2018, eq. 7",
        formula="y = scale (x - mean) / sqrt(var + eps) + bias, over places and groups of channels",
        example=lambda: _of_one_row(nn.GroupNorm(num_groups=1, epsilon=1e-5)),
    ),
    "local_response_norm": Layer(
        module=lambda: LocalResponseNorm(alpha=0.1),
        inputs=normal(4, 4, 6),
        paper="Krizhevsky et al. 2012, section 3.3",
        formula="y[c] = x[c] / (k + alpha sum over |j - c| <= n/2 of x[j]^2)^beta",
        example=_local_response,
    ),
    "dropout": Layer(
        module=lambda: Dropout(0.5),
        inputs=normal(4, 4, 3),
        paper="Srivastava et al. 2014, section 4",
        formula="y = x z / (1 - rate), z = 0 with probability rate, else 1",
        example=_dropout,
        call={"train": False},
    ),
    "relu": Layer(
        module=ReLU,
        inputs=normal(4, 4, 3),
        paper="Nair & Hinton 2010",
        formula="y = max(x, 0)",
        example=lambda: (relu(jnp.array([-2.0, 0.0, 3.0])), np.array([0.0, 0.0, 3.0])),
    ),
    "scaled_tanh": Layer(
        module=ScaledTanh,
        inputs=normal(4, 4, 3),
        paper="LeCun et al. 1998, appendix A",
        formula="y = 1.7159 tanh(2 x / 3)",
        example=lambda: (
            # 1.7159 is rounded in the paper: 1 becomes 0.999997.
            scaled_tanh(jnp.array([-1.0, 0.0, 1.0])),
            np.array([-1.0, 0.0, 1.0]),
        ),
    ),
}
