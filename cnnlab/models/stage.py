"""What stages of networks have in common: a linear layer, a norm if asked for, an activation."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from cnnlab.layers.activations import Activation
from cnnlab.layers.batch_norm import BatchNorm


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
) -> Float[Array, "b *rest_out"]:
    """Apply `linear`, BatchNorm and an activation, inside a model's `__call__`.

    Args:
        x: the input.
        linear: makes the layer, given `use_bias`, `dtype`, `kernel_init` and `name`.
        activation: also says from which weights to start.
        name: of the layer; its norm is `{name}_norm`.
        norm: "batch" for BatchNorm before the activation, in place of the bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        train: whether BatchNorm goes by the statistics of the batch.
        dtype: of the computation.
    """
    x = linear(use_bias=not norm, dtype=dtype, kernel_init=activation.kernel_init, name=name)(x)
    if norm:
        x = BatchNorm(axis_name=norm_axis_name, dtype=dtype, name=f"{name}_norm")(x, train)
    return activation.function(x)
