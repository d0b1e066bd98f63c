"""Learning-rate multipliers by path: `optimizer.multipliers = (("^stage1/", 0.1), ...)`.

Each pair is an expression (`cnnlab.utils.param_paths`) and a factor; the first that matches a
parameter counts, and without one the factor is 1. Each factor has an optimizer of its own with that
many times the learning rate, so that momentum, decay and whatever else the rule does are those of
that rate. Clipping comes before, by the norm of the whole gradient.
AlexNet's and Caffe's doubled rate for biases is `(("/bias$", 2.0),)`.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import optax
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.utils import param_paths

WHAT = "optimizer.multipliers"
# Of expression and factor; not annotated so, because a config can hold anything.
Pairs = Sequence[Any]


def check(
    pairs: Pairs, params: PyTree | None = None, heads: Sequence[str] = param_paths.HEADS
) -> None:
    """Raise a `UserError` for what is no pair of expression and factor, or matches nothing.

    Args:
        pairs: the multipliers.
        params: whose paths the expressions are to match; None to look at the pairs alone.
        heads: names of the modules that "head" stands for.
    """
    for pair in pairs:
        if isinstance(pair, str) and (odd := re.search(r"\b(nan|inf)\b", pair)):
            raise UserError(f"{WHAT}: {odd[0]} in {pair} is no finite number, zero or more")
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UserError(f"{WHAT}: {pair!r} is no pair, as in (('^stage1/', 0.1),)")
        pattern, factor = pair
        param_paths.expression(pattern, WHAT)
        if not (_is_number(factor) and math.isfinite(factor) and factor >= 0):
            raise UserError(f"{WHAT}: '{pattern}' has {factor!r}, no finite number, zero or more")
    if params is not None:
        param_paths.check([pattern for pattern, _ in pairs], param_paths.paths(params), WHAT, heads)


def by_path(
    pairs: Pairs,
    rule: Callable[[float], optax.GradientTransformation],
    heads: Sequence[str] = param_paths.HEADS,
) -> optax.GradientTransformation:
    """Return an optimizer that updates each parameter by `rule(factor)`, the factor of its path."""
    if not pairs:
        return rule(1.0)
    compiled = [(param_paths.expression(pattern, WHAT, heads), float(f)) for pattern, f in pairs]

    def factor_of(keys, _):
        path = param_paths.path_of(keys)
        return next((factor for pattern, factor in compiled if pattern.search(path)), 1.0)

    rules = {factor: rule(factor) for factor in {1.0, *(factor for _, factor in compiled)}}
    return optax.multi_transform(
        rules, lambda params: jax.tree_util.tree_map_with_path(factor_of, params)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
