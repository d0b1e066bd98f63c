"""The stage of the plain networks: a linear layer, a norm if asked for, an activation."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from cnnlab.layers.activations import Activation
from cnnlab.models.parts import norm_layer


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
    """
    given = getattr(linear, "keywords", {})
    init = {} if "kernel_init" in given else {"kernel_init": activation.kernel_init}
    x = linear(use_bias=not norm, dtype=dtype, name=name, **init)(x)
    layer = norm_layer(norm, train=train, axis_name=norm_axis_name, dtype=dtype, epsilon=epsilon)
    return activation.function(layer(name=f"{name}_norm")(x))
