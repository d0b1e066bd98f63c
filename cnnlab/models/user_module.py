"""A user-defined Flax module as a model: `module(inputs)` becomes `(output, endpoints)`."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from cnnlab.errors import UserError
from cnnlab.utils.describe import describe, place_of

# What modules call the argument that says whether they are trained, or are not.
TRAINING = ("train", "training", "is_training", "deterministic")


@functools.cache
def with_endpoints(module: Any) -> type[nn.Module]:
    """Return a class with the parameters of a module, called as all models are.

    Its `__call__(inputs, train=False)` returns `(output, endpoints)`: of a module that returns one
    array, the endpoint "logits" is that array. `train` is passed on to a module that takes it, as
    `train`, `training`, `is_training` or `deterministic`. It raises a `UserError` for a module that
    returns anything else.
    """
    call = module.__call__
    parameters = inspect.signature(call).parameters
    names = [name for name in TRAINING if name in parameters]
    if not names and any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        names = ["train"]

    def __call__(self: Any, inputs: Any, train: bool = False) -> Any:
        mode = {name: train != (name == "deterministic") for name in names}
        result = call(self, inputs, **mode)
        found = result if isinstance(result, tuple) else (result, {"logits": result})
        if len(found) != 2 or not (_arrays(found[0]) and _endpoints(found[1])):
            raise UserError(
                f"model '{place_of(module)}' returns {describe(result)}; it has to return an "
                "array, or (output, endpoints) with a dictionary of arrays"
            )
        return found

    own = {"__call__": __call__, "__doc__": module.__doc__, "__module__": module.__module__}
    make: Any = type(module)
    return make(module.__name__, (module,), own)


def _arrays(tree: Any) -> bool:
    leaves = jax.tree.leaves(tree)
    return bool(leaves) and all(hasattr(x, "shape") and hasattr(x, "dtype") for x in leaves)


def _endpoints(found: Any) -> bool:
    named = isinstance(found, Mapping) and all(isinstance(name, str) for name in found)
    return named and (not found or _arrays(found))
