"""Catalog entries: attention, the non-local block, convolutional LSTM, graph convolution."""

import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.layers.attention.dot_product import attention
from cnnlab.layers.attention.multi_head import MultiHeadAttention
from cnnlab.layers.attention.non_local import NonLocal
from cnnlab.layers.catalog.layer import Layer, normal
from cnnlab.layers.graph.graph_conv import GraphConv, graph_conv, normalized_adjacency
from cnnlab.layers.recurrent.conv_lstm import ConvLSTM, conv_lstm_step


def _attention():
    eye, v = jnp.eye(2), jnp.array([[1.0, 2.0], [3.0, 4.0]])
    y, weights = attention(eye, eye, v, return_weights=True)
    expected = [[0.6698, 0.3302, 1.6605, 2.6605], [0.3302, 0.6698, 2.3395, 3.3395]]
    return np.round(jnp.concatenate([weights, y], axis=-1), 4), np.array(expected, np.float32)


def _multi_head():
    # Two heads of one feature, all projections the identity: each channel attends on its own.
    eye = jnp.eye(2)
    split = {"kernel": eye.reshape(2, 2, 1), "bias": jnp.zeros((2, 1))}
    merged = {"kernel": eye.reshape(2, 1, 2), "bias": jnp.zeros(2)}
    params = {"query": split, "key": split, "value": split, "out": merged}
    y = MultiHeadAttention(heads=2).apply({"params": params}, jnp.array([[1.0, 0.0], [0.0, 2.0]]))
    # Softmax of (1, 0) and of (0, 4), times the values; a query of 0 weights all keys alike.
    return y, np.array([[np.e / (1 + np.e), 1.0], [0.5, 2 / (1 + np.exp(-4))]], np.float32)


def _non_local():
    # It starts as the identity.
    x = jnp.arange(8.0).reshape(1, 2, 2, 2)
    return NonLocal().init_with_output(jax.random.key(0), x)[0], np.asarray(x)


def _conv_lstm():
    # One place, one feature, kernels 1x1 of ones, peepholes of ones, from H = C = 0 and x = 1.
    ones = jnp.ones((1, 1, 1, 4))
    zero = jnp.zeros((1, 1, 1))
    state = conv_lstm_step(
        (zero, zero), jnp.ones((1, 1, 1)), ones, ones, peepholes=jnp.ones((3, 1, 1, 1))
    )
    gate = 1 / (1 + np.exp(-1))
    c = gate * np.tanh(1)
    h = np.tanh(c) / (1 + np.exp(-1 - c))
    return jnp.stack(state).reshape(2), np.array([h, c], np.float32)


def _graph_conv():
    # The path 1 - 2 - 3; nodes and weights the identity leave the normalized adjacency.
    path = jnp.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    y = graph_conv(jnp.eye(3), normalized_adjacency(path), jnp.eye(3))
    s = 1 / np.sqrt(6)
    return y, np.array([[1 / 2, s, 0], [s, 1 / 3, s], [0, s, 1 / 2]], np.float32)


def _graphs(key):
    first, second = jax.random.split(key)
    weights = jax.random.uniform(second, (8, 5, 5))
    return jax.random.normal(first, (8, 5, 3)), weights + weights.mT


ENTRIES: dict[str, Layer] = {
    "attention": Layer(
        module=lambda: MultiHeadAttention(heads=1),
        inputs=normal(5, 4),
        paper="Vaswani et al. 2017, eq. 1",
        formula="softmax(Q K^T / sqrt(d)) V",
        example=_attention,
    ),
    "multi_head_attention": Layer(
        module=lambda: MultiHeadAttention(heads=2, features=6, out_features=3),
        inputs=normal(5, 4),
        paper="Vaswani et al. 2017, section 3.2.2",
        formula="concat_h(attention(X Wq_h, X Wk_h, X Wv_h)) Wo",
        example=_multi_head,
    ),
    "non_local": Layer(
        module=lambda: NonLocal(subsample=2),
        inputs=normal(4, 4, 4),
        paper="Wang et al. 2018, eq. 6",
        formula="x_i + W_z sum_j softmax_j(theta(x_i)^T phi(x_j)) g(x_j)",
        example=_non_local,
    ),
    "conv_lstm": Layer(
        module=lambda: ConvLSTM(features=2),
        inputs=normal(3, 4, 4, 2),
        paper="Shi et al. 2015, eq. 3",
        formula="C_t = f o C_{t-1} + i o tanh(Wxc * X_t + Whc * H_{t-1} + bc), H_t = o o tanh(C_t)",
        example=_conv_lstm,
    ),
    "graph_conv": Layer(
        module=lambda: GraphConv(features=4),
        inputs=_graphs,
        paper="Kipf & Welling 2017, eq. 2",
        formula="D^-1/2 (A + I) D^-1/2 H W + b",
        example=_graph_conv,
    ),
}
