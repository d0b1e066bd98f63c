"""A user-defined Flax module as a model: `module(inputs)` becomes `(output, endpoints)`."""

import functools
import inspect
from typing import Any

import flax.linen as nn


@functools.cache
def with_endpoints(module: Any) -> type[nn.Module]:
    """Return a class with the parameters of a module, called as all models are.

    Its `__call__(inputs, train=False)` returns `(output, endpoints)`: of a module that returns one
    array, the endpoint "logits" is that array. `train` is passed on to a module that takes it.
    """
    call = module.__call__
    parameters = inspect.signature(call).parameters.values()
    takes_train = any(p.name == "train" or p.kind is p.VAR_KEYWORD for p in parameters)

    def __call__(self: Any, inputs: Any, train: bool = False) -> Any:
        result = call(self, inputs, train=train) if takes_train else call(self, inputs)
        return result if isinstance(result, tuple) else (result, {"logits": result})

    own = {"__call__": __call__, "__doc__": module.__doc__, "__module__": module.__module__}
    make: Any = type(module)
    return make(module.__name__, (module,), own)
