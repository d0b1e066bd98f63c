"""Imports objects by `package.module:Name`: models, objectives, evaluators, sources of a user.

Every table of names takes such a place beside its names. Modules are found on Python's path, in the
current folder, beside the config file, and for a run that exists where that run found them.
"""

import ast
import contextlib
import functools
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cnnlab.errors import UserError
from cnnlab.utils import installation, registry, user_file
from cnnlab.utils.describe import describe
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
    if is_place(name):
        return load(name, what, fits, wanted)
    if isinstance(name, str) and name not in table and "." in name:
        near = _first_in(name, fits) or _nearest_place(name, "")
        hint = f"did you mean '{near}'?" if near else "one's own is package.module:Name"
        raise UserError(f"unknown {what} '{name}'; {hint}")
    return registry.pick(table, name, what)


def load(place: str, what: str, fits: Callable[[Any], bool], wanted: str) -> Any:
    """Return the object at `package.module:Name`; the arguments are those of `pick`.

    Raises:
        UserError: no such module, one that fails (with its line), no such name in it, or an object
            of another kind.
    """
    module_name, _, name = place.partition(":")
    if not module_name or not name.isidentifier():
        raise UserError(f"{what} '{place}': write package.module:Name")
    module = _import(module_name, f"{what} '{place}'", name)
    known = _known(module, fits)
    if not hasattr(module, name):
        raise UserError(f"{what} '{place}': {_file(module)} has no '{name}'{suggest(name, known)}")
    found = getattr(module, name)
    if not fits(found):
        hint = suggest(name, known) if known else ""
        raise UserError(f"{what} '{place}' is no {wanted}, but {describe(found)}{hint}")
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


@contextlib.contextmanager
def explained(what: str, hint: Callable[[BaseException], str] = lambda _: "") -> Iterator[None]:
    """Raise a `UserError` for what a user's own code raises: of what it is, why and in which line.

    The whole traceback is the cause of the error. `hint` says of an error what to do.
    """
    try:
        yield
    except UserError:
        raise
    # Code that calls sys.exit() must not end the program without a word either.
    except (Exception, SystemExit) as error:
        raise UserError(f"{what}: {_reason(error)}{hint(error)}") from error


def explain(error: BaseException) -> str | None:
    """Return in one line what a user's own code raised and where, None for another error."""
    return _reason(error) if line_of(error) else None


def _reason(error: BaseException) -> str:
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first}".removesuffix(": ") + line_of(error)


def line_of(error: BaseException) -> str:
    """Return " (FILE, line N, in FUNCTION)" of the last frame beside modules found by place."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        code = frame.f_code
        if _is_own(Path(code.co_filename)):
            return f" ({code.co_filename}, line {line}, in {code.co_qualname})"
    return ""


def _is_own(file: Path) -> bool:
    """Return whether a file lies beside modules found by place, and is of no library."""
    libraries = [Path(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)]
    others = [*libraries, *(installation.ROOT / x for x in ("cnnlab", "experiments", "launch.py"))]
    beside = {Path(own).parent for own in _FILES} & set(file.parents)
    return bool(beside) and not any(file.is_relative_to(path) for path in others)


# Of the modules that were imported by their place.
_FILES: set[str] = set()


def _import(name: str, what: str, wanted: str) -> Any:
    """Import a module; `wanted` is the object in it, which a suggestion names too."""
    if not all(part.isidentifier() for part in name.split(".")):
        dotted = ".".join(Path(name).with_suffix("").parts).strip("./")
        near = _nearest_place(dotted, wanted)
        raise UserError(
            f"{what}: '{name}' is no module's name; write '{near or 'package.module:Name'}'"
        )
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        part = ".".join(parts[:depth])
        places = _places(parts[: depth - 1])
        spec = importlib.util.find_spec(part) if places else None
        if spec is None:
            near = _nearest_place(name, wanted)
            hint = f"; did you mean '{near}'?" if near else _inside(places, part)
            if not hint and depth == 1:
                hint = _gone()
            where = ", ".join(places) or f"{parts[depth - 2]}, which is no package"
            raise UserError(f"{what}: there is no module '{part}' in {where}{hint}")
        load_part = functools.partial(importlib.import_module, part)
        user_file.guarded(Path(spec.origin or part), load_part)
    _FILES.add(_file(sys.modules[name]))
    return sys.modules[name]


def _file(module: Any) -> str:
    """Return the file of a module, the name of one that has none: built in, or a namespace."""
    return str(getattr(module, "__file__", None) or module.__name__)


def _places(parts: list[str]) -> list[str]:
    """Return the folders in which the modules of a package are; of none, one's own modules."""
    parent = sys.modules.get(".".join(parts))
    return list(getattr(parent, "__path__", [])) if parts else _folders()


def _known(module: Any, fits: Callable[[Any], bool]) -> list[str]:
    """Return the names in a module of what fits, what it defines before what it imports."""
    known = [key for key, value in vars(module).items() if key[0] != "_" and fits(value)]
    return sorted(
        known, key=lambda k: getattr(vars(module)[k], "__module__", "") != module.__name__
    )


def _first_in(name: str, fits: Callable[[Any], bool]) -> str | None:
    """Return `name:Name` of what a module defines first, None without such a module."""
    try:
        known = _known(_import(name, "", ""), fits)
    except UserError:
        return None
    return f"{name}:{known[0]}" if known else None


def _nearest_place(name: str, wanted: str) -> str | None:
    """Return the nearest `package.module:Name` to a module's name that is defined somewhere.

    Files are read and not run: nobody asked for these. None if nothing is near.
    """
    places, parts = _folders(), name.split(".")
    spec: Any = None
    for depth, part in enumerate(parts):
        there = {m.name: m for m in pkgutil.iter_modules(places) if m.name.isidentifier()}
        near = part if part in there else registry.nearest(part, there)
        if near is None:
            return None
        parts[depth] = near
        finder: Any = there[near].module_finder
        spec = finder.find_spec(near)
        places = list(spec.submodule_search_locations or [])
    try:
        body = ast.parse(Path(spec.origin).read_bytes()).body
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    defined = [x.name for x in body if isinstance(x, ast.ClassDef | ast.FunctionDef)]
    found = registry.nearest(wanted, defined) if wanted else next(iter(defined), None)
    return f"{'.'.join(parts)}:{found}" if found else None


def _inside(places: list[str], part: str) -> str:
    """Return what to do where one of the folders is the package itself."""
    within = [folder for folder in places if Path(folder).name == part]
    return f"; start in the folder above {within[0]}, or add it to PYTHONPATH" if within else ""


def _gone() -> str:
    """Return what to do about folders of modules that a run remembers and that are no more."""
    paths = (Path(p) for p in sys.path if p and not p.endswith(".zip"))
    gone = [str(path) for path in paths if path.is_absolute() and not path.exists()]
    if not gone:
        return ""
    return (
        f"; {', '.join(gone)} is gone: start in the folder that its modules lie in now, or add "
        "that to PYTHONPATH"
    )


def _folders() -> list[str]:
    """Return the folders where a person's own modules may be: Python's path, libraries apart."""
    own = [Path(path or ".").resolve() for path in sys.path if Path(path or ".").is_dir()]
    python = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    inside = (path for path in own if not any(path.is_relative_to(p / "lib") for p in python))
    return list(dict.fromkeys(map(str, inside)))
