"""What architectures share: norms by name, plain stages, the classifier, checks of images."""

import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import Activation
from cnnlab.layers.dropout import Dropout
from cnnlab.layers.initializers import lecun_normal
from cnnlab.layers.normalization.batch_norm import BatchNorm

# Groups of channels (Wu & He 2018, table 3: 32 is best).
GROUPS = 32


def norm_layer(
    kind: str, *, train: bool, axis_name: str = "", dtype: Any = None, epsilon: float = 1e-5
) -> Callable[..., Callable[[Array], Array]]:
    """Return what makes a norm, given `name` and perhaps `scale_init`, inside a `__call__`.

    Args:
        kind: "batch"; "group" (Wu & He 2018) or "layer" (Ba et al. 2016: one group, over channels
            and space), which need no batch; "" for none.
        train: whether BatchNorm goes by the statistics of the batch.
        axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation.
        epsilon: added to the variance.
    """
    if kind == "batch":
        return partial(BatchNorm, train=train, axis_name=axis_name, dtype=dtype, epsilon=epsilon)
    if kind == "group":
        return partial(_GroupNorm, GROUPS, dtype=dtype, epsilon=epsilon)
    if kind == "layer":
        return partial(_GroupNorm, 1, dtype=dtype, epsilon=epsilon)
    return lambda **_: lambda x: x


class _GroupNorm(nn.Module):
    """Group normalization in so many groups, or as many of them as divide the channels."""

    groups: int
    epsilon: float = 1e-5
    dtype: Any = None
    scale_init: Callable[..., Array] = nn.initializers.ones_init()

    @nn.compact
    def __call__(self, x):
        return nn.GroupNorm(
            math.gcd(self.groups, x.shape[-1]),
            epsilon=self.epsilon,
            dtype=self.dtype,
            scale_init=self.scale_init,
            name="group",
        )(x)


def classify(
    x: Float[Array, "b c"],
    endpoints: OrderedDict[str, Array],
    *,
    num_classes: int,
    dropout: float,
    train: bool,
    dtype: Any,
    kernel_init: Callable[..., Array] = lecun_normal,
) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
    """Return the logits, or with 0 classes the features, and the endpoints with both added.

    Called inside a model's `__call__`; its parameters are `logits`. Dropout comes before
    "features", which is what the classifier sees. Output is float32 or wider.
    """
    x = endpoints["features"] = Dropout(dropout)(x, train)
    wide = jnp.promote_types(dtype, jnp.float32)
    if num_classes == 0:
        return x.astype(wide), endpoints
    logits = nn.Dense(num_classes, dtype=dtype, kernel_init=kernel_init, name="logits")(x)
    endpoints["logits"] = logits.astype(wide)
    return endpoints["logits"], endpoints


def scaled(channels: int, width: float, multiple: int = 1) -> int:
    """Return `channels` times `width`, rounded to a multiple of `multiple` that is not 0."""
    return max(1, round(channels * width / multiple)) * multiple


def synchronized(module: nn.Module, axis_name: str) -> nn.Module:
    """Return a module of which every BatchNorm shares its statistics over a mapped axis.

    Those are the modules with a field `norm_axis_name`, it and the modules in its fields.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(module):
        value = getattr(module, field.name, None)
        if isinstance(value, nn.Module) and field.name != "parent":
            changes[field.name] = synchronized(value, axis_name)
    if hasattr(module, "norm_axis_name"):
        changes["norm_axis_name"] = axis_name
    return module.clone(**changes) if changes else module


def check_images(images: Array | np.ndarray, smallest: int, model: str) -> None:
    """Raise a `UserError` for images that are not [b, h, w, c], or below `smallest` pixels."""
    if images.ndim != 4:
        raise UserError(f"{model} takes images [b, height, width, channels], not {images.shape}")
    height, width = images.shape[1:3]
    if min(height, width) < smallest:
        raise UserError(
            f"{model}: images of {height}x{width} are too small, it needs {smallest}x{smallest}: "
            "resize them"
        )


def stage(
    x: Float[Array, "b *rest"],
    linear: Callable[..., nn.Module],
    activation: Activation,
    *,
    name: str,
    norm: str,
    norm_axis_name: str,
    train: bool,
    dtype: Any,
    epsilon: float = 1e-5,
    bias: bool = False,
) -> Float[Array, "b *rest_out"]:
    """Apply `linear`, BatchNorm and an activation, inside a model's `__call__`.

    Args:
        x: the input.
        linear: makes the layer, given `use_bias`, `dtype`, `name` and, unless `linear` is a partial
            that has one, `kernel_init`.
        activation: also says from which weights to start.
        name: of the layer; its norm is `{name}_norm`.
        norm: "batch" or "group" for a norm before the activation, in place of the bias; "": none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        train: whether BatchNorm goes by the statistics of the batch.
        dtype: of the computation.
        epsilon: added to the variance by the norm.
        bias: whether there is one although a norm follows.
    """
    given = getattr(linear, "keywords", {})
    init = {} if "kernel_init" in given else {"kernel_init": activation.kernel_init}
    x = linear(use_bias=bias or not norm, dtype=dtype, name=name, **init)(x)
    layer = norm_layer(norm, train=train, axis_name=norm_axis_name, dtype=dtype, epsilon=epsilon)
    return activation.function(layer(name=f"{name}_norm")(x))
