"""AlexNet: five convolutions and three dense layers, which in 2012 won ImageNet by a margin.

Krizhevsky, Sutskever & Hinton 2012, section 3.5 and figure 2; shapes for 227x227x3:

    conv1 55x55x96 - norm1 - pool1 27x27x96 - conv2 27x27x256 - norm2 - pool2 13x13x256 -
    conv3 13x13x384 - conv4 13x13x384 - conv5 13x13x256 - pool5 6x6x256 - fc6 4096 - fc7 4096 -
    logits 1000

Parameters: 60,965,224; 62,378,344 with groups=1. The two groups of conv2, conv4 and conv5 are what
the paper's two GPUs do not tell each other. Of an image of another size fc6 has another shape.

`alexnet_torchvision` is the single tower of Krizhevsky 2014 (One weird trick), as torchvision has
it: 64, 192, 384, 256, 256 filters in one group, two zeros around an image of 224, no local response
normalization, averages of 6x6 places before fc6 so that any size of image will do, dropout before
fc6 and fc7 in place of after them. Parameters: 61,100,840.

Deviations: the paper says 224x224, but windows of 11 that move by 4 give its 55 places only with
227 (or with a padding it does not mention). The single tower starts from He's weights, as the paper
of it does not say; biases are 1 only with the weights of 2012.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.layers.activations import ACTIVATIONS
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.dropout import Dropout
from cnnlab.layers.initializers import he_normal, normal, zeros
from cnnlab.layers.normalization.local_response import local_response_norm
from cnnlab.layers.pooling.adaptive import adaptive_avg_pool
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import check_images, classify, scaled, stage
from cnnlab.utils.registry import pick

HIDDEN = 4096
# Five layers of windows shrink what is smaller to nothing.
SMALLEST = 67

# Weights, and the biases that section 5 makes 1: ReLUs then have positive inputs from the start.
INITS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "normal": (partial(normal, std=0.01), nn.initializers.ones_init()),
    "he": (he_normal, zeros),
}


class AlexNet(nn.Module):
    """Endpoints: conv1, norm1, pool1, conv2, ..., pool5, fc6, fc7, features, logits.

    norm1 and norm2 are there only with `local_response`; layers are after their activation.

    Attributes:
        num_classes: number of logits; 0 returns the features.
        channels: filters of the five convolutions.
        groups: of conv2, conv4 and conv5; 2 as in the paper, 1 for a single tower.
        padding: zeros added on each side of the image.
        local_response: whether the outputs of conv1 and conv2 are normalized by their neighbors.
        grid: places along each axis that fc6 sees, averaged from those there are; 0: all of them.
        initial: "normal" for the paper's N(0, 0.01), with biases 1 in conv2, conv4, conv5, fc6 and
            fc7; "he" for weights that suit a ReLU, and biases 0.
        width: factor on the number of filters and of units in fc6 and fc7.
        dropout: share of values set to zero in training, from the rng "dropout".
        dropout_first: dropout before fc6 and fc7, instead of after them.
        norm: "batch" for BatchNorm before each activation, in place of the bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
    """

    num_classes: int = 1000
    channels: tuple[int, ...] = (96, 256, 384, 384, 256)
    groups: int = 2
    padding: int = 0
    local_response: bool = True
    grid: int = 0
    initial: str = "normal"
    width: float = 1.0
    dropout: float = 0.5
    dropout_first: bool = False
    norm: str = ""
    norm_axis_name: str = ""
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for an image too small for the windows of five layers, or initial weights
                without such a name.
        """
        kernel_init, ones = pick(INITS, self.initial, "initial weights of alexnet")
        check_images(images, SMALLEST - 2 * self.padding, "alexnet")
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        widths = [scaled(c, self.width, self.groups) for c in self.channels]
        apply_stage = partial(
            stage,
            activation=ACTIVATIONS["relu"],
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            train=train,
            dtype=dtype,
        )

        def conv(x, n, window, *, stride=1, padding=0, groups=1, bias=zeros):
            layer = partial(
                Conv,
                widths[n - 1],
                (window, window),
                stride=stride,
                padding=padding,
                groups=groups,
                kernel_init=kernel_init,
                bias_init=bias,
            )
            endpoints[f"conv{n}"] = apply_stage(x, layer, name=f"conv{n}")
            return endpoints[f"conv{n}"]

        def shrink(x, n):
            if self.local_response and n < 3:
                x = endpoints[f"norm{n}"] = local_response_norm(x)
            endpoints[f"pool{n}"] = max_pool(x, 3, 2)
            return endpoints[f"pool{n}"]

        def dense(x, name):
            if self.dropout_first:
                x = Dropout(self.dropout)(x, train)
            layer = partial(
                nn.Dense, scaled(HIDDEN, self.width), kernel_init=kernel_init, bias_init=ones
            )
            endpoints[name] = apply_stage(x, layer, name=name)
            return endpoints[name]

        x = jnp.asarray(images, dtype)
        x = shrink(conv(x, 1, 11, stride=4, padding=self.padding), 1)
        x = shrink(conv(x, 2, 5, padding=2, groups=self.groups, bias=ones), 2)
        x = conv(x, 3, 3, padding=1)
        x = conv(x, 4, 3, padding=1, groups=self.groups, bias=ones)
        x = shrink(conv(x, 5, 3, padding=1, groups=self.groups, bias=ones), 5)
        x = adaptive_avg_pool(x, self.grid) if self.grid else x
        x = dense(x.reshape(x.shape[0], -1), "fc6")
        x = dense(x if self.dropout_first else Dropout(self.dropout)(x, train), "fc7")
        return classify(
            x,
            endpoints,
            num_classes=self.num_classes,
            dropout=0.0 if self.dropout_first else self.dropout,
            train=train,
            dtype=dtype,
            kernel_init=kernel_init,
        )


MODELS = {
    "alexnet": Architecture(
        AlexNet,
        "Krizhevsky et al. 2012, section 3.5",
        (227, 227, 3),
        top1=59.3,
        top5=81.8,
        protocol="ILSVRC-2012 val, 10 crops, 1 network",
    ),
    "alexnet_torchvision": Architecture(
        AlexNet,
        "Krizhevsky 2014, section 5",
        (224, 224, 3),
        {
            "channels": (64, 192, 384, 256, 256),
            "groups": 1,
            "padding": 2,
            "local_response": False,
            "grid": 6,
            "initial": "he",
            "dropout_first": True,
        },
    ),
}
