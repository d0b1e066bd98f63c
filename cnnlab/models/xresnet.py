"""XResNet: a ResNet with a stem of three 3x3 convolutions and pooled shortcuts.

He T. et al. 2018, Bag of tricks, figure 2 (ResNet-D: B, stride in the 3x3; C, the stem; D, the
shortcut) and section 3.1 (last scale of a block 0); the name and the layout are fastai's. Shapes
for 224x224x3, bottlenecks:

    stem 112x112x64 - pool1 56x56x64 - stage1 56x56x256 - stage2 28x28x512 - stage3 14x14x1024 -
    stage4 7x7x2048 - features 2048 - logits 1000

Parameters: 50 25,576,264, with 10 classes 23,547,754. Multiply-adds: 4,328,824,832.
Deviation: the classifier starts with variance 1 / fan_in.
"""

from collections import OrderedDict
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.layers.activations import relu
from cnnlab.layers.pooling.global_pool import global_avg_pool
from cnnlab.layers.pooling.pool import max_pool
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import check_images, classify, scaled
from cnnlab.models.residual import ResidualBlock, Stem, apply_stages, make_block, warn_of_small
from cnnlab.models.residual_layers import ConvSpec, LayerFactory, gain_of
from cnnlab.utils.registry import pick

WIDTHS = (64, 128, 256, 512)
# Stride, and the smallest images: of fewer pixels the last pooled shortcut would have but one.
STEMS = {"imagenet": (2, 17), "cifar": (1, 5)}
# Mish, x tanh(log(1 + exp(x))): Misra 2019.
ACTIVATIONS = {"relu": relu, "mish": jax.nn.mish}


class XResNet(nn.Module):
    """Endpoints: stem, pool1 (ImageNet's stem), stage1, ..., stage4, features, logits.

    Attributes:
        depths: number of blocks in each of the four stages.
        block: "basic" or "bottleneck".
        stem_widths: filters of the stem's convolutions; fastai's first version had 32, 64, 64.
        num_classes: number of logits; 0 returns the features.
        stem: "imagenet": stride 2 and 3x3/2 max-pooling; "cifar": neither.
        activation: "relu" or "mish".
        zero_scale: whether the last norm of each block starts with scale 0.
        width: factor on all channels.
        dropout: share of the features set to zero in training, from the rng "dropout".
        norm: "batch" or "group" after each convolution; "" for none, and biases.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
        remat: recompute each stage in the backward pass, to save memory; same results.
    """

    depths: tuple[int, ...] = (3, 4, 6, 3)
    block: str = "bottleneck"
    stem_widths: tuple[int, ...] = (32, 32, 64)
    num_classes: int = 1000
    stem: str = "imagenet"
    activation: str = "relu"
    zero_scale: bool = True
    width: float = 1.0
    dropout: float = 0.0
    norm: str = "batch"
    norm_axis_name: str = ""
    dtype: str = "float32"
    remat: bool = False

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for images below 17x17 (stem="cifar": 5x5), or a field that cannot be.
        """
        stride, smallest = pick(STEMS, self.stem, "model.stem")
        check_images(images, smallest, "xresnet")
        dtype = jnp.dtype(self.dtype)
        layers = LayerFactory(
            self.norm,
            self.norm_axis_name,
            train,
            dtype,
            act=pick(ACTIVATIONS, self.activation, "model.activation"),
            zero_scale=self.zero_scale,
            gain=gain_of(self.norm, self.depths),
        )
        endpoints: OrderedDict[str, Array] = OrderedDict()
        x = jnp.asarray(images, dtype)
        convs = tuple(
            ConvSpec(scaled(filters, self.width), 3, 1 if i else stride)
            for i, filters in enumerate(self.stem_widths)
        )
        x = endpoints["stem"] = Stem(convs, layers, name="stem")(x)
        if self.stem == "imagenet":
            if self.is_initializing():
                warn_of_small(images, "a 3x3/2 convolution")
            x = endpoints["pool1"] = max_pool(x, 3, 2, 1)
        x = apply_stages(
            x,
            endpoints,
            partial(ResidualBlock, shortcut="D", layers=layers),
            make_block(self.block, width=self.width),
            depths=self.depths,
            widths=WIDTHS,
            remat=self.remat,
        )
        return classify(
            global_avg_pool(x),
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
        )


def _xresnet(depths, block="bottleneck", top1=None, top5=None, protocol=""):
    paper = "He T. et al. 2018, figure 2 (ResNet-D)"
    arguments = {"depths": depths, "block": block}
    return Architecture(XResNet, paper, (224, 224, 3), arguments, top1, top5, protocol)


MODELS = {
    "xresnet18": _xresnet((2, 2, 2, 2), "basic"),
    "xresnet34": _xresnet((3, 4, 6, 3), "basic"),
    "xresnet50": _xresnet(
        (3, 4, 6, 3), top1=77.16, top5=93.52, protocol="ImageNet val, 1 crop of 224"
    ),
    "xresnet101": _xresnet((3, 4, 23, 3)),
}
