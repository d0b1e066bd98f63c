"""VGG: stages of 3x3 convolutions, the image halved after each, three dense layers.

Simonyan & Zisserman 2014 (ICLR 2015), table 1, columns A, B, C, D and E; for 224x224x3:

    pool1 112x112x64 - pool2 56x56x128 - pool3 28x28x256 - pool4 14x14x512 - pool5 7x7x512 -
    fc6 4096 - fc7 4096 - logits 1000

Parameters: A 132,863,336, B 133,047,848, C 133,638,952, D 138,357,544, E 143,667,240; with
BatchNorm two more for each filter of a convolution, whose bias stays (D: 138,365,992).

Deviations: averages of 7x7 places before fc6, as in torchvision, so that any size of image will do
(at 224 pool5 itself); no norm in the paper. The paper starts the deep networks from layers of a
trained A, and found later that Xavier's weights do without (section 3.1): these are used here.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.dropout import Dropout
from cnnlab.layers.initializers import he_normal, normal, xavier_uniform
from cnnlab.layers.pooling.adaptive import adaptive_avg_pool
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import check_images, classify, norm_layer, scaled
from cnnlab.utils.registry import pick

CHANNELS = (64, 128, 256, 512, 512)
HIDDEN = 4096
GRID = 7
# Halved once for each stage.
SMALLEST = 32

INITS: dict[str, Callable[..., Array]] = {
    "xavier": xavier_uniform,
    "normal": partial(normal, std=0.01),
    "he": he_normal,
}


class VGG(nn.Module):
    """Endpoints: conv1_1, ..., pool1, conv2_1, ..., pool5, fc6, fc7, features, logits.

    Attributes:
        num_classes: number of logits; 0 returns the features.
        layers: convolutions in each of the five stages.
        pointwise: whether the third convolution of a stage is 1x1 (the paper's column C).
        initial: the weights to start from: "xavier"; "normal" for N(0, 0.01), with which the paper
            trains column A; "he" for those that suit a ReLU.
        width: factor on the number of filters and of units in fc6 and fc7.
        dropout: share of fc6 and fc7 set to zero in training, from the rng "dropout".
        norm: "batch" or "group" for a norm after each convolution; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
        remat: recompute each stage in the backward pass.
    """

    num_classes: int = 1000
    layers: tuple[int, ...] = (2, 2, 3, 3, 3)
    pointwise: bool = False
    initial: str = "xavier"
    width: float = 1.0
    dropout: float = 0.5
    norm: str = ""
    norm_axis_name: str = ""
    dtype: str = "float32"
    remat: bool = False

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for an image below 32x32, other than five stages, or initial weights
                without such a name.
        """
        kernel_init = pick(INITS, self.initial, "initial weights of vgg")
        if len(self.layers) != len(CHANNELS) or min(self.layers) < 1:
            raise UserError(f"vgg: layers={self.layers} needs five numbers, each at least 1")
        check_images(images, SMALLEST, "vgg")
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        apply_stage = nn.remat(_stage, static_argnums=(2, 3)) if self.remat else _stage

        def dense(x, name):
            units = scaled(HIDDEN, self.width)
            x = nn.Dense(units, dtype=dtype, kernel_init=kernel_init, name=name)(x)
            endpoints[name] = relu(x)
            return endpoints[name]

        x = jnp.asarray(images, dtype)
        for n in range(1, len(CHANNELS) + 1):
            maps = apply_stage(self, x, n, train)
            endpoints.update((f"conv{n}_{m}", y) for m, y in enumerate(maps, 1))
            x = endpoints[f"pool{n}"] = max_pool(maps[-1], 2, 2)
        x = adaptive_avg_pool(x, GRID)
        x = Dropout(self.dropout)(dense(x.reshape(x.shape[0], -1), "fc6"), train)
        return classify(
            dense(x, "fc7"),
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
            kernel_init=kernel_init,
        )


def _stage(model: VGG, x: Array, n: int, train: bool) -> list[Array]:
    """Return the outputs of the convolutions of stage `n`; they are modules of `model` itself."""
    dtype = jnp.dtype(model.dtype)
    norm = norm_layer(model.norm, train=train, axis_name=model.norm_axis_name, dtype=dtype)
    maps = []
    for m in range(1, model.layers[n - 1] + 1):
        window, name = 1 if model.pointwise and m == 3 else 3, f"conv{n}_{m}"
        layer = Conv(
            scaled(CHANNELS[n - 1], model.width),
            (window, window),
            padding=window // 2,
            kernel_init=INITS[model.initial],
            dtype=dtype,
            name=name,
        )
        x = relu(norm(name=f"{name}_norm")(layer(x)))
        maps.append(x)
    return maps


def _row(column: str, errors: tuple[float, float], **arguments) -> Architecture:
    top1, top5 = (round(100 - e, 1) for e in errors)
    return Architecture(
        VGG,
        f"Simonyan & Zisserman 2014, table 1, {column}",
        (224, 224, 3),
        arguments,
        top1=top1,
        top5=top5,
        protocol="ILSVRC-2012 val, dense, 1 scale of 256 (table 3)",
    )


def _with_norm(row: Architecture) -> Architecture:
    """Return the row with BatchNorm (Ioffe & Szegedy 2015), of which the paper knows nothing."""
    return Architecture(
        VGG, f"{row.paper}, BatchNorm", row.input, {**row.arguments, "norm": "batch"}
    )


_COLUMNS = {
    "vgg11": _row("A", (29.6, 10.4), layers=(1, 1, 2, 2, 2)),
    "vgg13": _row("B", (28.7, 9.9), layers=(2, 2, 2, 2, 2)),
    "vgg16c": _row("C", (28.1, 9.4), layers=(2, 2, 3, 3, 3), pointwise=True),
    "vgg16": _row("D", (27.0, 8.8), layers=(2, 2, 3, 3, 3)),
    "vgg19": _row("E", (27.3, 9.0), layers=(2, 2, 4, 4, 4)),
}

MODELS = {
    **_COLUMNS,
    **{f"{name}_bn": _with_norm(row) for name, row in _COLUMNS.items() if name != "vgg16c"},
}
