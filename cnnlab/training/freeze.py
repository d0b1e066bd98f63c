"""Frozen parameters: no update, no weight decay, no optimizer state, no gradient.

`config.freeze` holds expressions (`utils/param_paths.py`). A BatchNorm whose statistics they match
behaves in training as it does in inference: it normalizes by its running statistics, which stay as
they are. A frozen trunk thus computes in training what it computes at test time, and a classifier
trained on it is a linear probe; dropout, which has no parameters, stays on. Other norms know no
difference.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.layers.normalization.batch_norm import BatchNorm
from cnnlab.utils import param_paths

WHAT = "freeze"


@dataclasses.dataclass(frozen=True)
class Freeze:
    """What to freeze; nothing without a pattern.

    Attributes:
        patterns: expressions that are searched in the paths of parameters.
        heads: names of the modules that "head" stands for.
    """

    patterns: tuple[str, ...] = ()
    heads: tuple[str, ...] = param_paths.HEADS

    def covers(self, path: str) -> bool:
        """Return whether what has this path is frozen."""
        return param_paths.matches(self.patterns, path, WHAT, self.heads)

    def check(self, params: PyTree) -> None:
        """Raise a `UserError` for a pattern that matches nothing, or if nothing is left."""
        names = param_paths.paths(params)
        param_paths.check(self.patterns, names, WHAT, self.heads)
        if self.patterns and all(map(self.covers, names)):
            raise UserError(f"freeze={self.patterns} leaves no parameter to train")

    def optimizer(self, rule: optax.GradientTransformation) -> optax.GradientTransformation:
        """Return a rule that moves, and keeps a state for, the other parameters only."""
        if not self.patterns:
            return rule

        def labels(params):
            return jax.tree_util.tree_map_with_path(
                lambda keys, _: "frozen" if self.covers(param_paths.path_of(keys)) else "trained",
                params,
            )

        rules = {"trained": rule, "frozen": optax.set_to_zero()}
        return optax.multi_transform(rules, labels)

    def loss(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a training loss `function(params, ...)` with no gradient in what is frozen."""
        if not self.patterns:
            return function

        def stop(keys, leaf):
            return jax.lax.stop_gradient(leaf) if self.covers(param_paths.path_of(keys)) else leaf

        def frozen(params, *args, **kwargs):
            params = jax.tree_util.tree_map_with_path(stop, params)
            with nn.intercept_methods(self._intercept):
                return function(params, *args, **kwargs)

        return frozen

    def keep(self, old: PyTree, new: PyTree) -> PyTree:
        """Return the model state `new` with the frozen parts of `old`, bit for bit."""
        if not self.patterns:
            return new

        def one(keys, before, after):
            # The first key is the collection; an objective's own, a teacher say, goes on.
            frozen = keys[0].key == "batch_stats" and self.covers(param_paths.path_of(keys[1:]))
            return before if frozen else after

        return jax.tree_util.tree_map_with_path(one, old, new)

    def _intercept(self, call, args, kwargs, context):
        module = context.module
        if not isinstance(module, BatchNorm) or not self.covers("/".join((*module.path, "mean"))):
            return call(*args, **kwargs)
        if module.train is False:
            return call(args[0])
        # The same variables, in inference; the call of the copy comes by here again.
        return module.clone(parent=module.scope, train=False)(args[0])


NOTHING = Freeze()
