"""Weight decay, and masks of the parameters that it applies to."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

Mask = Callable[[Any], Any]


def kernels(params: Any) -> Any:
    """Return True for the parameters that are decayed: rank 2 or more, and no bias or scale.

    Shrinking a bias or a norm's scale restrains no capacity, and a scale is undone by the layer
    that follows. The name is looked at too because layers stacked for a scan give their biases a
    second axis.
    """

    def decayed(path, leaf):
        name = str(getattr(path[-1], "key", getattr(path[-1], "name", ""))) if path else ""
        return jnp.ndim(leaf) >= 2 and not name.endswith(("bias", "scale"))

    return jax.tree_util.tree_map_with_path(decayed, params)


def everything(params: Any) -> Any:
    """Return True for every parameter, as the early papers had it."""
    return jax.tree.map(lambda _: True, params)


def not_depthwise(params: Any) -> Any:
    """Return True as `kernels`, but for depthwise filters, which MobileNet does not decay.

    Howard et al. 2017, section 3.2: they have so few parameters. They are found by the name of the
    layer.
    """

    def decayed(path, wanted):
        return wanted and "depthwise" not in jax.tree_util.keystr(path)

    return jax.tree_util.tree_map_with_path(decayed, kernels(params))


DECAY_MASKS: dict[str, Mask] = {
    "kernels": kernels,
    "not_depthwise": not_depthwise,
    "all": everything,
}


def add_decay(weight_decay: int | float, mask: Mask) -> optax.GradientTransformation:
    """Return what adds `weight_decay` times each parameter of the mask to its update."""
    return optax.add_decayed_weights(weight_decay, mask) if weight_decay else optax.identity()
