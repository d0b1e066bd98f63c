"""Imports objects by `package.module:Name`: models, objectives, evaluators, sources of a user.

Every table of names takes such a place beside its names. Modules are found on Python's path, in the
current folder, beside the config file, and for a run that exists where that run found them.
"""

import functools
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cnnlab.errors import UserError
from cnnlab.utils import registry, user_file
from cnnlab.utils.registry import suggest

T = TypeVar("T")


def is_place(name: Any) -> bool:
    """Return whether a name is of the form `package.module:Name`, not that of a table's entry."""
    return isinstance(name, str) and ":" in name


def pick(
    table: Mapping[str, T], name: str, what: str, fits: Callable[[Any], bool], wanted: str
) -> T:
    """Return `table[name]`, or the object at the place `name`.

    Args:
        table: of names.
        name: of an entry, or `package.module:Name`.
        what: it is, for messages: "model".
        fits: whether an object can stand for an entry of the table.
        wanted: what it has to be, for messages: "a flax.linen.Module".

    Raises:
        UserError: as `registry.pick` and `load`.
    """
    return load(name, what, fits, wanted) if is_place(name) else registry.pick(table, name, what)


def load(place: str, what: str, fits: Callable[[Any], bool], wanted: str) -> Any:
    """Return the object at `package.module:Name`; the arguments are those of `pick`.

    Raises:
        UserError: no such module, one that fails (with its line), no such name in it, or an object
            of another kind.
    """
    module_name, _, name = place.partition(":")
    module = _import(module_name, f"{what} '{place}'")
    known = [key for key, value in vars(module).items() if key[0] != "_" and fits(value)]
    if not hasattr(module, name):
        raise UserError(
            f"{what} '{place}': {module.__file__} has no '{name}'{suggest(name, known)}"
        )
    found = getattr(module, name)
    if not fits(found):
        hint = suggest(name, known) if known else ""
        raise UserError(f"{what} '{place}' is no {wanted}, but {_kind(found)}{hint}")
    return found


def search(folder: Path | str) -> None:
    """Look for modules in a folder too, after all others."""
    path = str(Path(folder).resolve())
    if path not in sys.path:
        sys.path.append(path)


def roots(names: Iterable[Any]) -> dict[str, str]:
    """Return for each place among the names the folder that its module was found in."""
    found = {}
    for place in filter(is_place, names):
        module = sys.modules.get(place.partition(":")[0])
        file = getattr(module, "__file__", None)
        if module is not None and file:
            # One folder up for every package, and one for the file itself.
            depth = module.__name__.count(".") + hasattr(module, "__path__")
            found[place] = str(Path(file).resolve().parents[depth])
    return found


def _import(name: str, what: str) -> Any:
    if not all(part.isidentifier() for part in name.split(".")):
        dotted = ".".join(Path(name).with_suffix("").parts).strip("./")
        raise UserError(f"{what}: '{name}' is no module's name; write '{dotted}:...'")
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        part = ".".join(parts[:depth])
        parent = sys.modules.get(".".join(parts[: depth - 1]))
        places = _folders() if depth == 1 else list(getattr(parent, "__path__", []))
        spec = importlib.util.find_spec(part) if places else None
        if spec is None:
            near = registry.nearest(
                parts[depth - 1], [m.name for m in pkgutil.iter_modules(places)]
            )
            whole = ".".join([*parts[: depth - 1], near or "", *parts[depth:]])
            hint = f"; did you mean '{whole}'?" if near else ""
            where = ", ".join(places) or f"{parts[depth - 2]}, which is no package"
            raise UserError(f"{what}: there is no module '{part}' in {where}{hint}")
        load_part = functools.partial(importlib.import_module, part)
        user_file.guarded(Path(spec.origin or part), load_part)
    return sys.modules[name]


def _folders() -> list[str]:
    """Return the folders where a person's own modules may be: Python's path, libraries apart."""
    own = [Path(path or ".").resolve() for path in sys.path if Path(path or ".").is_dir()]
    python = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    inside = (path for path in own if not any(path.is_relative_to(p / "lib") for p in python))
    return list(dict.fromkeys(map(str, inside)))


def _kind(found: Any) -> str:
    kind = "class" if isinstance(found, type) else type(found).__name__
    return f"a {kind} '{getattr(found, '__name__', found)!s:.40}'"
