"""Choosing by name: plain tables, keyword arguments from configs, and errors that suggest."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cnnlab.errors import UserError

T = TypeVar("T")


def suggest(name: str, names: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the nearest of `names`, or a list of them all."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(names)}"


def pick(table: Mapping[str, T], name: str, what: str) -> T:
    """Return `table[name]`, or raise a `UserError` that names `what` it is and suggests."""
    if name not in table:
        raise UserError(f"unknown {what} '{name}'{suggest(name, table)}")
    return table[name]


def defaults(function: Callable) -> dict[str, Any]:
    """Return the keyword-only arguments of `function` that have a default, with it."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: p.default
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.default is not p.empty
    }


def check_keywords(function: Callable, keywords: Mapping[str, Any], what: str) -> None:
    """Raise a `UserError` for a keyword that `function` does not take or one it needs."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    names = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for name in keywords:
        if name not in names:
            raise UserError(f"{what} has no argument '{name}'{suggest(name, names)}")
