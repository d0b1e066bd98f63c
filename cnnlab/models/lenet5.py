"""LeNet-5: two convolutions, two subsamplings, three layers on top.

LeCun, Bottou, Bengio & Haffner 1998, section II.B and figure 2; shapes for 32x32x1:

    c1 28x28x6 - s2 14x14x6 - c3 10x10x16 - s4 5x5x16 - c5 1x1x120 - f6 84 - logits 10

Parameters: c1 156, c3 2,416, c5 48,120, f6 10,164, logits 850: 61,706 (the paper's own: 60,000).
Deviations, those usual today: c3 sees all maps of s2 (table I of the paper leaves some out);
s2 and s4 have no trained coefficient and bias; a dense layer gives logits for a softmax where the
paper has RBF units; ReLU and max-pooling unless asked otherwise.

Locally connected (`shared=False`): the same windows, but each place has weights of its own. LeCun
1989 (Generalization and network design strategies), the step between fully connected layers and
convolutions. For 32x32x1, with as many units as LeNet-5:

    layer     inputs and outputs                    mlp     locally connected      lenet5
    c1        32x32x1 -> 28x28x6              4,821,600               122,304         156
    c3        of c1 (mlp) or s2 -> 10x10x16   7,528,000               241,600       2,416
    c5        of c3 (mlp) or s4 -> 120          192,120                48,120      48,120
    f6        120 -> 84                          10,164                10,164      10,164
    logits    84 -> 10                              850                   850         850
    all                                      12,552,734               423,038      61,706

The mlp is `mlp` with hidden layers of 4704, 1600, 120 and 84 units. Local windows save a factor of
30, shared weights another 7. The weights belong to one size of image.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers import activations
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.convolution.locally_connected import LocallyConnected
from cnnlab.layers.pooling.pool import avg_pool, max_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import classify, stage
from cnnlab.utils.registry import pick

SMALLEST = 32


# The paper's tanh is the scaled one.
ACTIVATIONS = {
    "relu": activations.ACTIVATIONS["relu"],
    "tanh": activations.ACTIVATIONS["scaled_tanh"],
}
# Without sharing the first two axes of a kernel count places, which are no inputs of a unit.
LOCAL_INITS = {
    "relu": nn.initializers.he_normal(batch_axis=(0, 1)),
    "tanh": nn.initializers.lecun_normal(batch_axis=(0, 1)),
}
POOLS: dict[str, Callable[..., Array]] = {"max": max_pool, "avg": avg_pool}


class LeNet5(nn.Module):
    """Endpoints: c1, s2, c3, s4, c5, f6, features, logits; layers after their activation.

    Attributes:
        num_classes: number of logits; 0 returns the features.
        activation: "relu", or "tanh" for the paper's 1.7159 tanh(2x/3).
        pool: "max", or "avg" as in the paper.
        shared: whether all places of a map share a kernel; without, each has its own.
        padding: zeros added on each side of the image; 2 makes MNIST's 28x28 the 32x32 it expects.
        dropout: share of f6 set to zero in training, from the rng "dropout".
        norm: "batch" for BatchNorm before each activation, in place of the bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
    """

    num_classes: int = 10
    activation: str = "relu"
    pool: str = "max"
    shared: bool = True
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
        activation = pick(ACTIVATIONS, self.activation, "activation of lenet5")
        pool = pick(POOLS, self.pool, "pool of lenet5")
        dtype = jnp.dtype(self.dtype)
        _check_size(images.shape, self.padding)
        endpoints: OrderedDict[str, Array] = OrderedDict()

        apply_stage = partial(
            stage,
            activation=activation,
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            train=train,
            dtype=dtype,
        )

        def conv(x, filters, name, padding=0):
            given: Any = dict(features=filters, kernel_size=(5, 5), padding=padding)
            local = partial(LocallyConnected, kernel_init=LOCAL_INITS[self.activation], **given)
            layer = partial(Conv, **given) if self.shared else local
            endpoints[name] = apply_stage(x, layer, name=name)
            return endpoints[name]

        x = conv(jnp.asarray(images, dtype), 6, "c1", self.padding)
        x = endpoints["s2"] = pool(x, 2, 2)
        x = conv(x, 16, "c3")
        x = endpoints["s4"] = pool(x, 2, 2)
        x = conv(x, 120, "c5")
        x = x.reshape(x.shape[0], -1)
        x = endpoints["f6"] = apply_stage(x, partial(nn.Dense, 84), name="f6")
        return classify(
            x,
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
        )


def _check_size(shape: tuple[int, ...], padding: int) -> None:
    if len(shape) != 4:
        raise UserError(f"lenet5 takes images [batch, height, width, channels], not {shape}")
    height, width = shape[1:3]
    if min(height, width) + 2 * padding < SMALLEST:
        needed = -(-(SMALLEST - min(height, width)) // 2)
        raise UserError(
            f"lenet5: images of {height}x{width} with padding={padding} are too small, it needs "
            f"{SMALLEST}x{SMALLEST}: resize them, or set padding={needed}"
        )


MODELS = {
    "locally_connected": Architecture(LeNet5, "LeCun 1989", (32, 32, 1), {"shared": False}),
    "lenet5": Architecture(LeNet5, "LeCun et al. 1998, figure 2", (32, 32, 1)),
}
