"""Catalog entries: depthwise, separable, locally connected, transposed, lightweight convolution."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cnnlab.layers.catalog.layer import Layer, normal
from cnnlab.layers.convolution.channel_shuffle import ChannelShuffle, channel_shuffle
from cnnlab.layers.convolution.connection_table import TableConv, table_conv
from cnnlab.layers.convolution.depthwise import DepthwiseConv, depthwise_conv
from cnnlab.layers.convolution.lightweight import DynamicConv, LightConv, LightConvBlock, light_conv
from cnnlab.layers.convolution.locally_connected import LocallyConnected, local_conv
from cnnlab.layers.convolution.separable import SeparableConv, separable_conv
from cnnlab.layers.convolution.transposed import ConvTranspose, conv_transpose
from cnnlab.layers.pooling.upsample import BilinearUpsampling

# Image and kernel of the lecture's slide, and their convolution.
X = np.arange(1.0, 10.0, dtype=np.float32).reshape(3, 3, 1)
W = np.array([[1, 2], [3, 4]], np.float32).reshape(2, 2, 1, 1)
Y = np.array([[37, 47], [67, 77]], np.float32)


def _depthwise():
    # The second channel is the same under twice the weights.
    x, kernel = np.concatenate([X, X], -1), np.concatenate([W, 2 * W], -1)
    y = depthwise_conv(jnp.asarray(x), jnp.asarray(kernel), padding="VALID")
    return y, np.stack([Y, 2 * Y], -1)


def _separable():
    x, kernel = np.concatenate([X, X], -1), np.concatenate([W, 2 * W], -1)
    pointwise = np.array([1, 10], np.float32).reshape(1, 1, 2, 1)
    arrays = (jnp.asarray(a) for a in (x, kernel, pointwise))
    return separable_conv(*arrays, padding="VALID")[..., 0], Y + 10 * 2 * Y


def _channel_shuffle():
    return channel_shuffle(jnp.arange(6), 2), np.array([0, 3, 1, 4, 2, 5])


def _locally_connected():
    times = np.array([[1, 2], [3, 4]], np.float32)
    kernel = times.reshape(2, 2, 1, 1, 1, 1) * W
    return local_conv(jnp.asarray(X), jnp.asarray(kernel), padding="VALID")[..., 0], times * Y


def _connection_table():
    # The first filter reads both maps, the second the second alone, which is twice the first.
    x, kernel = np.concatenate([X, 2 * X], -1), np.concatenate([W, W, 10 * W], -1)[..., 0, :]
    arrays = (jnp.asarray(a) for a in (x, kernel))
    y = table_conv(*arrays, table=((0, 1), (1,)), padding="VALID")
    return y, np.stack([3 * Y, 20 * Y], -1)


def _transposed():
    y = conv_transpose(jnp.asarray(W[..., 0]), jnp.asarray(W), stride=2, padding="VALID")
    expected = [[1, 2, 2, 4], [3, 4, 6, 8], [3, 6, 4, 8], [9, 12, 12, 16]]
    return y[..., 0], np.array(expected)


def _bilinear_upsampling():
    y = jax.jit(BilinearUpsampling().apply)({}, jnp.ones((2, 2, 1)))
    edge = np.array([0.75, 1, 1, 0.75])
    return jnp.asarray(y)[..., 0], np.outer(edge, edge)


def _light_conv():
    x, taps = jnp.arange(1.0, 4.0), jnp.array([1.0, 2.0, 1.0])
    side, middle = 0.211942, 0.576117
    expected = [middle + 2 * side, 4 * side + 2 * middle, 2 * side + 3 * middle]
    return jax.jit(light_conv)(x[:, None], taps[:, None])[:, 0], np.array(expected)


def _dynamic_conv():
    # Step t has taps in proportion 1 : 2^t : 1.
    predict = {"kernel": jnp.array([[0, np.log(2), 0]], jnp.float32)}
    apply = jax.jit(DynamicConv(3, heads=1).apply)
    y = apply({"params": {"predict": predict}}, jnp.arange(1.0, 4.0)[:, None])
    expected = [(2 * 1 + 2) / 4, (1 + 4 * 2 + 3) / 6, (2 + 8 * 3) / 10]
    return jnp.asarray(y)[:, 0], np.array(expected)


ENTRIES: dict[str, Layer] = {
    "depthwise": Layer(
        module=lambda: DepthwiseConv((3, 3), multiplier=2),
        inputs=normal(6, 5, 3),
        paper="Howard et al. 2017 (MobileNets), equation 3",
        formula="y[i,j,c] = b[c] + sum_uv x[i+u, j+v, c] w[u,v,c]",
        example=_depthwise,
    ),
    "separable": Layer(
        module=lambda: SeparableConv(4, (3, 3), norm=nn.LayerNorm, act=nn.softplus),
        inputs=normal(6, 5, 3),
        paper="Howard et al. 2017 (MobileNets), section 3.1 and figure 3",
        formula="y = W_1x1 act(norm(depthwise(x))): 1/N + 1/k^2 of the multiply-adds",
        example=_separable,
    ),
    "channel_shuffle": Layer(
        module=lambda: ChannelShuffle(2),
        inputs=normal(3, 3, 6),
        paper="Zhang et al. 2018 (ShuffleNet), section 3.1",
        formula="y[.., n G + g] = x[.., g C/G + n]",
        example=_channel_shuffle,
    ),
    "locally_connected": Layer(
        module=lambda: LocallyConnected(2, (3, 3)),
        inputs=normal(4, 5, 2),
        paper="Taigman et al. 2014 (DeepFace), section 2.2",
        formula="y[i,j,o] = b[i,j,o] + sum_uvc x[i+u, j+v, c] w[i,j,u,v,c,o]",
        example=_locally_connected,
    ),
    "connection_table": Layer(
        module=lambda: TableConv(((0, 1), (2,), (0, 2)), (3, 3)),
        inputs=normal(4, 5, 3),
        paper="LeCun et al. 1998, section II.B and table I",
        formula="y[i,j,o] = b[o] + sum over c in T[o], u, v of x[i+u, j+v, c] w[u,v,c,o]",
        example=_connection_table,
    ),
    "transposed": Layer(
        module=lambda: ConvTranspose(2, (4, 4), stride=2),
        inputs=normal(4, 3, 3),
        paper="Dumoulin & Visin 2016, chapter 4",
        formula="y[a,b,o] = b[o] + sum_ijc x[i,j,c] w[a-si+p, b-sj+p, o, c]",
        example=_transposed,
    ),
    "bilinear_upsampling": Layer(
        module=lambda: BilinearUpsampling(2, trainable=True),
        inputs=normal(4, 3, 2),
        paper="Long et al. 2015 (FCN), section 3.3",
        formula="w[u,v] = (1-|u/f-c|)(1-|v/f-c|), c = (2f-1-f%2)/(2f)",
        example=_bilinear_upsampling,
    ),
    "light_conv": Layer(
        module=lambda: LightConv(3, heads=2),
        inputs=normal(6, 4),
        paper="Wu et al. 2019, equation 5",
        formula="y[t,c] = sum_u softmax(w)[u,h] x[t+u-k//2, c], h = cH//d",
        example=_light_conv,
    ),
    "dynamic_conv": Layer(
        module=lambda: LightConvBlock(3, heads=2, dynamic=True),
        inputs=normal(6, 4),
        paper="Wu et al. 2019, equation 6 and figure 2",
        formula="y[t,c] = sum_u softmax(x[t] W_Q)[u,h] x[t+u-k//2, c]",
        example=_dynamic_conv,
    ),
}
