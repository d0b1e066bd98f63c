"""GoogLeNet: nine Inception modules, and in training two classifiers on the way.

Szegedy et al. 2014, table 1; shapes for 224x224x3:

    conv1 112x112x64 - pool1 56x56x64 - conv2_reduce 56x56x64 - conv2 56x56x192 - pool2 28x28x192
    inception3a 28x28x256 - 3b 28x28x480 - pool3 14x14x480
    inception4a, b, c 14x14x512 - 4d 14x14x528 - 4e 14x14x832 - pool4 7x7x832
    inception5a 7x7x832 - 5b 7x7x1024 - features 1024 - logits 1000

Parameters: 6,998,552, and 6,379,728 of the auxiliary classifiers on 4a and 4d: 13,378,280.
1,582,671,872 multiply-adds without these.

    googlenet              biases and no norm, local response normalization after pool1 and conv2
    googlenet_torchvision  BatchNorm, 3x3 in place of 5x5, pool4 2x2: 6,624,904 (13,004,888)
    inception_v1_bn        BatchNorm in place of biases and of local response normalization, no
                           dropout, otherwise as the paper: 7,005,832. Not the BN-Inception of
                           Ioffe & Szegedy 2015, which has two 3x3 for the 5x5 and other channels

Deviations: the paper gives no numbers for local response normalization, here Caffe's (k 1, n 5,
alpha 1e-4 of the mean, beta 0.75), nor for initial weights (`inception`); windows of pools hang
over the end (Caffe), which table 1's shapes need.
"""

from collections import OrderedDict
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.initializers import xavier_uniform
from cnnlab.layers.normalization.local_response import local_response_norm
from cnnlab.layers.pooling.global_pool import global_avg_pool
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.inception import AuxiliaryClassifier, Inception, unit
from cnnlab.models.parts import check_images, classify, scaled

# Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
MODULES = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY = {"auxiliary1": "inception4a", "auxiliary2": "inception4d"}
SMALLEST = 15


class GoogLeNet(nn.Module):
    """Szegedy et al. 2014, table 1, with what its usual variants differ in.

    Endpoints: conv1, pool1, conv2_reduce, conv2, pool2, inception3a, inception3b, pool3,
    inception4a to inception4e, pool4, inception5a, inception5b, in training auxiliary1 and
    auxiliary2 (logits), features, logits. pool1 and conv2 are as before their local response
    normalization.

    Attributes:
        num_classes: number of logits; 0 returns the features, without auxiliary classifiers.
        auxiliary: whether there are auxiliary classifiers; their parameters always exist then.
        auxiliary_pool: "strided" for 5x5 windows of stride 3, "adaptive" for torchvision's 4x4.
        auxiliary_dropout: share of their dense layer set to zero in training.
        large: window of the modules' third branch.
        last_pool: window of pool4.
        local_response: whether to normalize after pool1 and conv2.
        width: factor on the number of channels.
        dropout: share of the features set to zero in training, from the rng "dropout".
        norm: "batch" or "group" for a norm after each convolution, in place of its bias; "": none.
        norm_epsilon: added to the variance by the norm.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        remat: recompute each Inception module in the backward pass.
        dtype: of the computation; parameters and logits are float32.
    """

    num_classes: int = 1000
    head_names: ClassVar[tuple[str, ...]] = ("logits", *AUXILIARY)

    auxiliary: bool = True
    auxiliary_pool: str = "strided"
    auxiliary_dropout: float = 0.7
    large: int = 5
    last_pool: int = 3
    local_response: bool = True
    width: float = 1.0
    dropout: float = 0.4
    norm: str = ""
    norm_epsilon: float = 1e-3
    norm_axis_name: str = ""
    remat: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for images below 15x15, windows that are not odd, or an unknown pool.
        """
        check_images(images, SMALLEST, "googlenet")
        self._check_fields()
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        settings: Any = dict(
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            epsilon=self.norm_epsilon,
            train=train,
            dtype=dtype,
        )

        def conv(x, filters, window, name, stride=1):
            filters = scaled(filters, self.width)
            endpoints[name] = unit(x, filters, window, stride=stride, name=name, **settings)
            return endpoints[name]

        def pool(x, name, window=3):
            endpoints[name] = _pool(x, window)
            return endpoints[name]

        def normalize(x):
            return local_response_norm(x, k=1.0, average=True) if self.local_response else x

        x = conv(jnp.asarray(images, dtype), 64, 7, "conv1", stride=2)
        x = normalize(pool(x, "pool1"))
        x = conv(x, 64, 1, "conv2_reduce")
        x = normalize(conv(x, 192, 3, "conv2"))
        x = pool(x, "pool2")
        module = nn.remat(Inception) if self.remat else Inception
        for name, channels in MODULES.items():
            widths = tuple(scaled(c, self.width) for c in channels)
            x = endpoints[name] = module(widths, self.large, name=name, **settings)(x)
            if name == "inception3b":
                x = pool(x, "pool3")
            if name == "inception4e":
                x = pool(x, "pool4", self.last_pool)

        # Without training they are computed once, for their parameters.
        if self.auxiliary and self.num_classes and (train or self.is_initializing()):
            for name, below in AUXILIARY.items():
                classifier = AuxiliaryClassifier(
                    self.num_classes,
                    scaled(128, self.width),
                    scaled(1024, self.width),
                    pool=self.auxiliary_pool,
                    dropout=self.auxiliary_dropout,
                    name=name,
                    **settings,
                )
                logits = classifier(endpoints[below])
                if train:
                    endpoints[name] = logits
        return classify(
            global_avg_pool(x),
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
            kernel_init=xavier_uniform,
        )

    def _check_fields(self) -> None:
        if self.large % 2 == 0 or self.large < 1:
            raise UserError(f"googlenet: large={self.large} must be odd: 5, or 3 as in torchvision")
        if self.auxiliary_pool not in ("strided", "adaptive"):
            raise UserError(
                f"googlenet: auxiliary_pool='{self.auxiliary_pool}' is unknown: use 'strided' "
                "(the paper's 5x5) or 'adaptive' (torchvision's 4x4)"
            )


def _pool(x: Float[Array, "b h w c"], window: int) -> Float[Array, "b ho wo c"]:
    """Return maxima of windows 2 apart, the last hanging over the end, also where it is alone."""
    missing = [(0, max(window - size, 0)) for size in x.shape[1:3]]
    return max_pool(x, window, 2, padding=missing, ceil_mode=True)


PAPER = "Szegedy et al. 2014, table 1"
MODELS = {
    "googlenet": Architecture(
        GoogLeNet,
        PAPER,
        (224, 224, 3),
        top5=89.93,
        protocol="ILSVRC-2012 val, 1 model, 1 crop",
    ),
    "googlenet_torchvision": Architecture(
        GoogLeNet,
        PAPER,
        (224, 224, 3),
        {
            "auxiliary_pool": "adaptive",
            "dropout": 0.2,
            "large": 3,
            "last_pool": 2,
            "local_response": False,
            "norm": "batch",
        },
    ),
    "inception_v1_bn": Architecture(
        GoogLeNet,
        f"{PAPER}; Ioffe & Szegedy 2015",
        (224, 224, 3),
        {"dropout": 0.0, "local_response": False, "norm": "batch"},
    ),
}
