"""LeNet-5 as published: partial connections, trained subsampling, distances to codes of digits.

LeCun, Bottou, Bengio & Haffner 1998, section II.B, figure 2 and table I; for 32x32x1:

    c1 28x28x6 - s2 14x14x6 - c3 10x10x16 - s4 5x5x16 - c5 1x1x120 - f6 84 - 10 distances

Parameters: c1 156, s2 12, c3 1,516, s4 32, c5 48,120, f6 10,164: 60,000, and 340,908 connections
with the 840 to the fixed codes. Each layer up to f6 ends with 1.7159 tanh(2x/3); c3 sees of s2 what
table I says; s2 and s4 have a coefficient and a bias for each map. The output i is a radial basis
function unit,

    y_i = sum over j of (f6_j - code_ij)^2                                              (equation 7)

the squared distance to the bitmap of digit i; logits are -y_i, so that the largest is the answer.
The paper trains it with the loss of `cnnlab.losses.classification.map_criterion` (equation 9), on
images with -0.1 for the background and 1.175 for the ink. Initial parameters, biases included, are
uniform within 2.4 / fan_in (appendix A).

Deviations: c3 is computed as a plain convolution with zeros where nothing is connected, so the
traced program has more multiply-adds than the paper connections; the codes are not certain
(`lenet5_codes`), and fixed, where the paper says only that they are at first.
"""

from collections import OrderedDict
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import scaled_tanh
from cnnlab.layers.convolution.connection_table import TableConv, lecun_uniform
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.pooling.subsampling import Subsampling
from cnnlab.models.architecture import Architecture
from cnnlab.models.lenet5_codes import digit_codes
from cnnlab.models.parts import check_images, classify

SMALLEST = 32
UNITS = 84

# Table I: the maps of s2 that each of the 16 maps of c3 sees.
TABLE = (
    *((i, (i + 1) % 6, (i + 2) % 6) for i in range(6)),
    *((i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
HEADS = ("rbf", "softmax")


class LeNet5Of1998(nn.Module):
    """Endpoints: c1, s2, c3, s4, c5, f6, features, logits; layers after their activation.

    Attributes:
        num_classes: number of logits; 0 returns the features.
        head: "rbf" for distances to the codes of the digits, which have no parameters; "softmax"
            for a dense layer, as used today, and any number of classes.
        padding: pixels added on each side of the image; 2 makes MNIST's 28x28 the paper's 32x32.
        background: their value; the paper's, or what the preprocessing makes of black.
        dtype: of the computation; parameters and logits are float32.
    """

    num_classes: int = 10
    head: str = "rbf"
    padding: int = 0
    background: float = -0.1
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for an image below 32x32 after padding, an unknown head, or more classes than
                there are codes.
        """
        if self.head not in HEADS:
            raise UserError(f"lenet5_1998: head='{self.head}' must be one of {HEADS}")
        if self.head == "rbf" and self.num_classes > len(digit_codes()):
            raise UserError(
                f"lenet5_1998: there are codes for the 10 digits, not for {self.num_classes} "
                "classes: use model.head=softmax"
            )
        check_images(images, SMALLEST - 2 * self.padding, "lenet5_1998")
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()

        def conv(x, filters, name):
            init = lecun_uniform(25 * x.shape[-1])
            layer = Conv(
                filters,
                (5, 5),
                padding="VALID",
                kernel_init=init,
                bias_init=init,
                dtype=dtype,
                name=name,
            )
            endpoints[name] = scaled_tanh(layer(x))
            return endpoints[name]

        # The coefficient multiplies the sum of four values.
        init = lecun_uniform(4)
        subsampling = partial(
            Subsampling,
            activation=scaled_tanh,
            coefficient_init=init,
            bias_init=init,
            dtype=dtype,
        )
        sides = (self.padding, self.padding)
        x = jnp.pad(
            jnp.asarray(images, dtype),
            ((0, 0), sides, sides, (0, 0)),
            constant_values=self.background,
        )
        x = endpoints["s2"] = subsampling(name="s2")(conv(x, 6, "c1"))
        c3 = TableConv(TABLE, (5, 5), padding="VALID", dtype=dtype, name="c3")
        x = endpoints["c3"] = scaled_tanh(c3(x))
        x = endpoints["s4"] = subsampling(name="s4")(x)
        x = conv(x, 120, "c5")
        x = x.reshape(x.shape[0], -1)
        init = lecun_uniform(x.shape[-1])
        f6 = nn.Dense(UNITS, kernel_init=init, bias_init=init, dtype=dtype, name="f6")
        x = endpoints["f6"] = scaled_tanh(f6(x))
        if self.head == "rbf" and self.num_classes:
            return _distances(x, endpoints, self.num_classes)
        return classify(
            x,
            endpoints,
            num_classes=self.num_classes,
            dropout=0.0,
            train=train,
            dtype=dtype,
            kernel_init=lecun_uniform(UNITS),
        )


def _distances(
    x: Float[Array, "b units"], endpoints: OrderedDict[str, Array], num_classes: int
) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
    """Return minus the squared distances to the codes, and the endpoints with them."""
    endpoints["features"] = x
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    codes = digit_codes()[:num_classes]
    endpoints["logits"] = -jnp.square(wide[:, None] - codes).sum(-1)
    return endpoints["logits"], endpoints


MODELS = {
    "lenet5_1998": Architecture(
        LeNet5Of1998,
        "LeCun et al. 1998, figure 2 and table I",
        (32, 32, 1),
        top1=99.05,
        protocol="MNIST test, no distortions",
    ),
}
