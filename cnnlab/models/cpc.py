"""Network of contrastive predictive coding for images: patches, their latents, their context.

van den Oord, Li & Vinyals 2018, section 3.2: the image is cut in overlapping patches, the first
three stages of a ResNet-v2-101 encode each by itself, averaged over space, and a PixelCNN looks at
the grid of latents from the top down. Shapes at the paper's size:

    256x256x3    patches 7x7 of 64x64x3    latents 7x7x1024    context 7x7x1024    features 1024

Context (i, j) depends on rows up to i, and on none below. Its blocks are those of Henaff et al.
2019, appendix A.2: x + F(x), F of 1x1, 1x3, 2x1 and 1x1 convolutions, activations after the
first and the third and at the very end.

No BatchNorm: statistics of a batch tell the patches of an image from others (Henaff et al. 2019,
section 4.1). Directions other than down are theirs too, each with a context network of its own.
Deviations: the last convolution of a block starts with weights smaller by the root of the
number of blocks, as there is no norm; norms, where there are any, are in the encoder alone; `fold`
and `gray`, which the paper does before, where it does.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.data.augment.image_ops import LUMA
from cnnlab.errors import UserError
from cnnlab.layers.activations import relu
from cnnlab.layers.convolution.masked import MaskedConv
from cnnlab.layers.convolution.patches import cut_patches, drop_colors, jitter_patches
from cnnlab.layers.initializers import he_normal
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import check_images, classify, scaled
from cnnlab.models.resnet_v2 import ResNetV2
from cnnlab.utils.registry import pick

Grid = Float[Array, "b rows cols d"]

# Each turns the grid so that its prediction goes from the top down, and back when applied again.
DIRECTIONS: dict[str, Callable[[Array], Array]] = {
    "down": lambda grid: grid,
    "up": lambda grid: grid[:, ::-1],
    "right": lambda grid: jnp.swapaxes(grid, 1, 2),
    "left": lambda grid: jnp.swapaxes(grid[:, ::-1, ::-1], 1, 2),
}


def turn(grid: Float[Array, "b _ _ d"], direction: str) -> Float[Array, "b _ _ d"]:
    """Return the grid with its first row where the prediction starts; twice is the grid itself.

    Raises:
        UserError: for a direction that is none.
    """
    return pick(DIRECTIONS, direction, "model.directions")(grid)


class Context(nn.Module):
    """PixelCNN over a grid: block1, block2, ...; no output depends on a row below its own.

    Attributes:
        blocks: number of residual blocks.
        hidden: channels within them.
        dtype: of the computation.
    """

    blocks: int
    hidden: int
    dtype: str

    @nn.compact
    def __call__(self, grid: Grid) -> Grid:
        """Return the context of every place, with as many channels as the latents."""
        dtype = jnp.dtype(self.dtype)
        small = nn.initializers.variance_scaling(2 / self.blocks, "fan_in", "truncated_normal")
        for i in range(1, self.blocks + 1):
            name = f"block{i}_conv"
            x = nn.Dense(self.hidden, kernel_init=he_normal, dtype=dtype, name=f"{name}1")(grid)
            x = MaskedConv(self.hidden, (1, 3), dtype=dtype, name=f"{name}2")(relu(x))
            x = MaskedConv(self.hidden, (2, 1), dtype=dtype, name=f"{name}3")(x)
            last = nn.Dense(grid.shape[-1], kernel_init=small, dtype=dtype, name=f"{name}4")
            grid = grid + last(relu(x))
        return relu(grid)


class CPC(nn.Module):
    """Endpoints: latents, context, features (the mean of the latents), logits.

    `context` holds those of all directions one after another in its channels.

    Attributes:
        patch: pixels of a patch's side.
        stride: pixels from one patch to the next.
        jitter_crop: pixels that are kept of a patch in training, from the rng "dropout"; 0: all.
        drop_colors: whether each patch keeps one color channel only in training.
        gray: whether colors are averaged, in training and after (with the weights of Rec. 601).
        fold: the encoder sees squares of so many pixels a side as channels of one; 1: pixels.
        depths: number of units in each stage of the encoder.
        widths: channels of each stage; bottlenecks have 4 times as many outputs.
        block: "basic" or "bottleneck".
        stem: "imagenet": 7x7/2 and 3x3/2 max-pooling; "cifar": 3x3/1 alone.
        width: factor on all channels, of the context's too.
        norm: "group" or "layer" in the encoder; "" for none, and biases.
        directions: in which the context sees the grid: "down", "up", "right", "left".
        context_blocks: residual blocks of each context network.
        context_width: channels within them.
        num_classes: number of logits; 0 returns the features.
        dtype: of the computation; parameters and output are float32.
        remat: recompute each stage in the backward pass, to save memory; same results.
    """

    patch: int = 64
    stride: int = 32
    jitter_crop: int = 60
    drop_colors: bool = False
    gray: bool = False
    fold: int = 1
    depths: tuple[int, ...] = (3, 4, 23)
    widths: tuple[int, ...] = (64, 128, 256)
    block: str = "bottleneck"
    stem: str = "imagenet"
    width: float = 1.0
    norm: str = ""
    directions: tuple[str, ...] = ("down",)
    context_blocks: int = 5
    context_width: int = 256
    num_classes: int = 0
    dtype: str = "float32"
    remat: bool = False

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b h w c"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the features, or with classes the logits, and the endpoints.

        Raises:
            UserError: for images smaller than a patch, or a field that cannot be; it names it.
        """
        check_images(images, self.patch, "cpc")
        if self.norm == "batch":
            raise UserError(
                "model.norm='batch': its statistics tell the patches of an image from others, "
                "which CPC has to learn: use '', 'group' or 'layer'"
            )
        if not self.directions:
            raise UserError("model.directions=(): needs one or more, such as ('down',)")
        if self.gray and images.shape[-1] == len(LUMA):
            images = images @ jnp.asarray(LUMA, images.dtype)[:, None]
        patches = cut_patches(images, self.patch, self.stride)
        if train:
            patches = self._augmented(patches)
        b, rows, cols, *one = patches.shape
        encoder = ResNetV2(
            self.depths,
            self.widths,
            self.block,
            num_classes=0,
            stem=self.stem,
            width=self.width,
            norm=self.norm,
            dtype=self.dtype,
            remat=self.remat,
            name="encoder",
        )
        encoded, _ = encoder(_folded(patches.reshape(-1, *one), self.fold), train=train)
        dtype = jnp.dtype(self.dtype)
        latents = encoded.astype(dtype).reshape(b, rows, cols, -1)
        endpoints: OrderedDict[str, Array] = OrderedDict(latents=latents)
        hidden = scaled(self.context_width, self.width)
        context = partial(Context, self.context_blocks, hidden, self.dtype)
        seen = [turn(context(name=f"context_{d}")(turn(latents, d)), d) for d in self.directions]
        endpoints["context"] = jnp.concatenate(seen, axis=-1)
        return classify(
            latents.mean(axis=(1, 2)),
            endpoints,
            num_classes=self.num_classes,
            dropout=0.0,
            train=train,
            dtype=dtype,
        )

    def _augmented(self, patches):
        """Return what training sees of the patches."""
        if not self.jitter_crop and not self.drop_colors:
            return patches
        jitter, color = jax.random.split(self.make_rng("dropout"))
        if self.jitter_crop:
            patches = jitter_patches(patches, jitter, self.jitter_crop)
        return drop_colors(patches, color) if self.drop_colors else patches


def _folded(x, fold: int):
    """Return [n, h, w, c] as [n, h / fold, w / fold, fold^2 c]."""
    n, height, width, channels = x.shape
    if fold < 1 or height % fold:
        raise UserError(f"model.fold={fold} has to divide model.patch={height}")
    squares = x.reshape(n, height // fold, fold, width // fold, fold, channels)
    squares = jnp.swapaxes(squares, 2, 3)
    return squares.reshape(n, height // fold, width // fold, fold * fold * channels)


# Patches of 16 pixels from images of 64: the same grid.
SMALL = {
    "patch": 16,
    "stride": 8,
    "jitter_crop": 14,
    "fold": 2,
    "depths": (1, 1, 1),
    "widths": (32, 64, 128),
    "block": "basic",
    "stem": "cifar",
    "context_blocks": 2,
    "context_width": 128,
}
# Section 3.2 has the architecture; what a linear classifier reaches on its features is in table 3.
PAPER = "van den Oord et al. 2018, section 3.2"
LINEAR = "ImageNet val, linear classifier on the mean of the latents"
MODELS = {
    "cpc_resnet101": Architecture(CPC, PAPER, (256, 256, 3), {}, 48.7, 73.6, LINEAR),
    "cpc_small": Architecture(CPC, PAPER, (64, 64, 3), SMALL),
}
