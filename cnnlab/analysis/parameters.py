"""How many parameters a model has, without computing anything."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp


def count_parameters(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, list[str]]:
    """Return the number of trainable parameters and the names of the endpoints.

    Args:
        model: maps images to `(output, endpoints)`.
        shape: of one image, (h, w, c).
    """

    names: list[str] = []

    def initialise():
        (_, endpoints), variables = model.init_with_output(
            jax.random.key(0), jnp.zeros((1, *shape)), train=False
        )
        # Noted while tracing, because jax sorts the keys of a dict that it returns.
        names.extend(endpoints)
        return variables["params"]

    params = jax.eval_shape(initialise)
    return sum(math.prod(x.shape) for x in jax.tree.leaves(params)), names
