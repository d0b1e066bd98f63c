"""Locally connected network: LeNet-5's windows, but each place has weights of its own.

LeCun 1989 (Generalization and network design strategies), the step between fully connected layers
and convolutions. For 32x32x1, with as many units as LeNet-5:

    layer     inputs and outputs                    mlp     locally connected      lenet5
    c1        32x32x1 -> 28x28x6              4,821,600               122,304         156
    c3        of c1 (mlp) or s2 -> 10x10x16   7,528,000               241,600       2,416
    c5        of c3 (mlp) or s4 -> 120          192,120                48,120      48,120
    f6        120 -> 84                          10,164                10,164      10,164
    logits    84 -> 10                              850                   850         850
    all                                      12,552,734               423,038      61,706

The mlp is `mlp` with hidden layers of 4704, 1600, 120 and 84 units. Local windows save the factor
30, sharing their weights another 7. The weights belong to one size of image.
"""

from collections import OrderedDict
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.choices import pick
from cnnlab.layers.activations import Activation, relu, scaled_tanh
from cnnlab.layers.locally_connected import LocallyConnected as LocalLayer
from cnnlab.models.architecture import Architecture
from cnnlab.models.lenet5 import ACTIVATIONS, POOLS
from cnnlab.models.parts import check_images, classify
from cnnlab.models.stage import stage

SMALLEST = 32

# The first two axes of a kernel count places, which are no inputs of a unit.
LOCAL = {
    "relu": Activation(relu, nn.initializers.he_normal(batch_axis=(0, 1))),
    "tanh": Activation(scaled_tanh, nn.initializers.lecun_normal(batch_axis=(0, 1))),
}


class LocallyConnected(nn.Module):
    """Endpoints: c1, s2, c3, s4, c5, f6, features, logits; layers after their activation.

    Attributes:
        num_classes: number of logits; 0 returns the features.
        activation: "relu", or "tanh" for the scaled one.
        pool: "max" or "avg".
        padding: zeros added on each side of the image; 2 makes MNIST's 28x28 the 32x32 it expects.
        dropout: share of f6 set to zero in training, from the rng "dropout".
        norm: "batch" for BatchNorm before each activation, in place of the bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
    """

    num_classes: int = 10
    activation: str = "relu"
    pool: str = "max"
    padding: int = 0
    dropout: float = 0.0
    norm: str = ""
    norm_axis_name: str = ""
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for an image below 32x32 after padding, or an unknown activation or pool.
        """
        local = pick(LOCAL, self.activation, "activation of locally_connected")
        pool = pick(POOLS, self.pool, "pool of locally_connected")
        check_images(images, SMALLEST - 2 * self.padding, "locally_connected")
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        apply_stage = partial(
            stage,
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            train=train,
            dtype=dtype,
        )

        def connect(x, filters, name, padding=0):
            layer = partial(LocalLayer, filters, (5, 5), padding=padding)
            endpoints[name] = apply_stage(x, layer, local, name=name)
            return endpoints[name]

        x = connect(jnp.asarray(images, dtype), 6, "c1", self.padding)
        x = endpoints["s2"] = pool(x, 2, 2)
        x = connect(x, 16, "c3")
        x = endpoints["s4"] = pool(x, 2, 2)
        x = connect(x, 120, "c5")
        x = x.reshape(x.shape[0], -1)
        dense = partial(nn.Dense, 84)
        x = endpoints["f6"] = apply_stage(x, dense, ACTIVATIONS[self.activation], name="f6")
        return classify(
            x,
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
        )


MODELS = {"locally_connected": Architecture(LocallyConnected, "LeCun 1989", (32, 32, 1))}
