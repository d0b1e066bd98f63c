"""Koch et al.'s tower of a siamese network that decides whether two characters are the same.

Koch, Zemel & Salakhutdinov 2015, sections 3.1 and 3.2 and figure 4; shapes for 105x105x1:

    conv1 96x96x64 - pool1 48x48x64 - conv2 42x42x128 - pool2 21x21x128 - conv3 18x18x128 -
    pool3 9x9x128 - conv4 6x6x256 - dense5 4096 - features 4096

Parameters: conv1 6,464, conv2 401,536, conv3 262,272, conv4 524,544, dense5 37,752,832:
38,947,648. With the weighted L1 distance on top (`experiments.siamese`, 4,097) 38,951,745.
The output is the 4,096 sigmoid units; with `num_classes` a linear layer on them, which the paper
does not have. Windows of 2x2 are pooled after each convolution but the last; nothing is padded.

With the paper's initial weights all images look alike at first: a window of 10x10 times weights of
0.01 adds little to a bias of 0.5, and weights of 0.2 on 9,216 values saturate the sigmoids.
`initial="he"` has weights that suit the ReLU (and 1 / fan_in before the sigmoid), with biases 0.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import Activation, relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.initializers import he_normal, lecun_normal, normal, zeros
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import check_images, classify, scaled, stage
from cnnlab.utils.registry import pick


def half(key, shape, dtype=jnp.float32):
    """Return normal numbers about 0.5, of standard deviation 0.01: the paper's biases."""
    return 0.5 + normal(key, shape, dtype, std=0.01)


# Of the convolutions, of the dense layer, and of all biases.
INITS: dict[str, tuple[Callable[..., Array], Callable[..., Array], Callable[..., Array]]] = {
    "koch": (partial(normal, std=0.01), partial(normal, std=0.2), half),
    "he": (he_normal, lecun_normal, zeros),
}


class Koch(nn.Module):
    """Endpoints: conv1, pool1, conv2, ..., conv4, dense5, features, logits; after activations.

    Attributes:
        num_classes: number of logits on top of the sigmoid units; 0 returns the units.
        channels: filters of the convolutions; 2x2 max-pooling after each but the last.
        kernels: length of the windows of each.
        units: sigmoid units of the dense layer.
        initial: "koch" for the paper's weights N(0, 0.01) (dense: N(0, 0.2)) and biases
            N(0.5, 0.01); "he" for weights by their fan-in, and biases 0.
        width: factor on the number of filters and of units.
        dropout: share of the units set to zero in training, from the rng "dropout".
        norm: "batch", "group" or "layer" for a norm before each activation, in place of the bias;
            "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and output are float32.
    """

    num_classes: int = 0
    channels: tuple[int, ...] = (64, 128, 128, 256)
    kernels: tuple[int, ...] = (10, 7, 4, 4)
    units: int = 4096
    initial: str = "koch"
    width: float = 1.0
    dropout: float = 0.0
    norm: str = ""
    norm_axis_name: str = ""
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the output and the endpoints.

        Raises:
            UserError: for an image too small for the windows, initial weights without such a
                name, or another number of kernels than of channels.
        """
        conv_init, dense_init, bias_init = pick(INITS, self.initial, "initial weights of koch2015")
        if len(self.kernels) != len(self.channels) or not self.kernels:
            raise UserError(
                f"koch2015: kernels={tuple(self.kernels)} and channels={tuple(self.channels)} need "
                "as many entries, one or more"
            )
        check_images(images, _smallest(self.kernels), "koch2015")
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        apply_stage = partial(
            stage,
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            train=train,
            dtype=dtype,
        )

        x = jnp.asarray(images, dtype)
        for n, (channels, window) in enumerate(zip(self.channels, self.kernels, strict=True), 1):
            if n > 1:
                x = endpoints[f"pool{n - 1}"] = max_pool(x, 2, 2)
            layer = partial(
                Conv,
                scaled(channels, self.width),
                (window, window),
                padding="VALID",
                bias_init=bias_init,
            )
            rectified = Activation(relu, conv_init)
            x = endpoints[f"conv{n}"] = apply_stage(x, layer, rectified, name=f"conv{n}")
        name = f"dense{len(self.kernels) + 1}"
        dense = partial(nn.Dense, scaled(self.units, self.width), bias_init=bias_init)
        squashed = Activation(jax.nn.sigmoid, dense_init)
        x = endpoints[name] = apply_stage(x.reshape(x.shape[0], -1), dense, squashed, name=name)
        return classify(
            x,
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
        )


def _smallest(kernels: tuple[int, ...]) -> int:
    """Return the length of the smallest image that leaves a place after the last convolution."""
    size = kernels[-1]
    for window in kernels[-2::-1]:
        size = 2 * size + window - 1
    return size


MODELS = {"koch2015": Architecture(Koch, "Koch et al. 2015, figure 4", (105, 105, 1))}
