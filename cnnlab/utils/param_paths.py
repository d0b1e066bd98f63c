"""Selects parameters by regular expressions on their paths.

A path is `stage4/block1/conv1/kernel`: modules, then the parameter. An expression matches anywhere
in it, so `^stage4/` takes a stage, `/bias$` every bias, and `conv1` also what is in `conv1_norm`.
Two words stand for expressions: `head` is the classifier and what an objective puts on top of the
network (a projector, say), the modules that model and objective declare as `head_names`; `trunk` is
all else. Paths of BatchNorm's statistics are matched alike.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax
from jaxtyping import PyTree

from cnnlab.errors import UserError

# Of a model that declares none.
HEADS = ("logits",)


def expression(pattern: Any, what: str, heads: Sequence[str] = HEADS) -> re.Pattern:
    """Return the compiled expression, or raise a `UserError` that says `what` it is for.

    Args:
        pattern: the expression, "head" or "trunk".
        what: it is for.
        heads: names of the modules that "head" stands for.
    """
    names = "|".join(map(re.escape, heads))
    words = {"head": f"^({names})/", "trunk": f"^(?!({names})/)"}
    try:
        return re.compile(words.get(pattern, pattern))
    except (re.error, TypeError) as error:
        raise UserError(f"{what}: {pattern!r} is no regular expression: {error}") from None


def matches(patterns: Iterable[str], path: str, what: str, heads: Sequence[str] = HEADS) -> bool:
    """Return whether one of the expressions is found in a path."""
    return any(expression(pattern, what, heads).search(path) for pattern in patterns)


def path_of(keys: Sequence) -> str:
    """Return the path that JAX's key path of a leaf stands for."""
    return jax.tree_util.keystr(tuple(keys), simple=True, separator="/")


def paths(tree: PyTree) -> list[str]:
    """Return the path of every leaf of one collection, in the order of `jax.tree.leaves`."""
    return [path_of(keys) for keys, _ in jax.tree_util.tree_leaves_with_path(tree)]


def check(
    patterns: Iterable[Any], names: Sequence[str], what: str, heads: Sequence[str] = HEADS
) -> None:
    """Raise a `UserError` for an expression that is found in no path: it is misspelt."""
    modules = sorted({name.partition("/")[0] for name in names})
    for pattern in patterns:
        if any(expression(pattern, what, heads).search(name) for name in names):
            continue
        near = difflib.get_close_matches(pattern.strip("^/$"), modules, n=1, cutoff=0.5)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise UserError(
            f"{what}: '{pattern}' matches no parameter{hint}; the modules are: {', '.join(modules)}"
        )
