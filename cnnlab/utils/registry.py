"""Look-up in tables of names, and errors that suggest the nearest name."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from cnnlab.errors import UserError
from cnnlab.utils import old_names

T = TypeVar("T")


def whole(text: str) -> int | None:
    """Return the number that decimal digits stand for; None for other text, or too many digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def nearest(name: str, names: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the nearest of `names`, None if none is near; initials are: "lr", "learning_rate"."""
    names = sorted(names)
    initials = [n for n in names if len(name) > 1 and name == "".join(w[:1] for w in n.split("_"))]
    near = initials or difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    return near[0] if near else None


def suggest(name: str, names: Iterable[str], cutoff: float = 0.5) -> str:
    """Return `"; did you mean 'x'?"` for the nearest of `names`, or a list of them all.

    Of an old name the present one is given; empty where there are no names.
    """
    names = sorted(names)
    if new := old_names.present(name, names):
        return f"; it is now '{new}'"
    near = nearest(name, names, cutoff)
    if near:
        return f"; did you mean '{near}'?"
    return f"; there are: {', '.join(names)}" if names else ""


def entries_called(name: str, entries: Any) -> list[str]:
    """Return the dotted paths of the entries of this name in nested dictionaries, the least deep.

    A name may be a path, or its end.
    """

    def paths(inner: Any, above: str = "") -> Iterator[str]:
        for key in inner:
            if hasattr(inner[key], "keys"):
                yield from paths(inner[key], f"{above}{key}.")
            yield f"{above}{key}"

    found = [path for path in paths(entries) if f".{path}".endswith(f".{name}")]
    least = min((path.count(".") for path in found), default=0)
    return sorted(path for path in found if path.count(".") == least)


def suggest_entry(name: str, entries: Any) -> str:
    """As `suggest`, for a key of nested dictionaries: a slip here, and that name further down."""
    slip = nearest(name, map(str, entries), cutoff=0.85)
    near = dict.fromkeys([*([slip] if slip else []), *entries_called(name, entries)])
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    # Of many short names one is always half alike.
    return suggest(name, map(str, entries), cutoff=0.55)


def pick(table: Mapping[str, T], name: str, what: str) -> T:
    """Return `table[name]`, or raise a `UserError` that names `what` it is and suggests."""
    if name not in table:
        raise UserError(f"unknown {what} '{name}'{suggest(name, table)}")
    return table[name]


def pick_all(table: Mapping[str, T], names: Any, entry: str, what: str) -> list[T]:
    """Return `table[name]` of each name, or raise a `UserError` that names `entry`."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise UserError(f"{entry}={names!r}: needs names, as \"('{min(table)}',)\", or ()")
    for name in names:
        if not isinstance(name, str) or name not in table:
            hint = suggest(str(name), table)
            raise UserError(f"{entry}={tuple(names)}: unknown {what} {name!r}{hint}")
    return [table[name] for name in names]


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
