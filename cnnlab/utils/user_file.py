"""Runs config and sweep files; errors in them name the file and the line."""

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from cnnlab.errors import UserError
from cnnlab.utils import old_names
from cnnlab.utils.installation import IN_CHECKOUT
from cnnlab.utils.registry import nearest, suggest, suggest_entry

INSTALLED_AS = {"experiments": "cnnlab.experiments", "configs": "cnnlab.examples"}
KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a tuple",
    ConfigDict: "a dictionary",
}


def find(path: Path, what: str, folder: Path) -> Path:
    """Return the path of a file, or of one in the folder of examples by its name without `.py`.

    Raises:
        UserError: if there is none; lists the files in `path` if it is a folder, else those beside
            it and the examples.
    """
    example = folder / f"{path}.py"
    if path.is_file():
        return path
    if len(path.parts) == 1 and example.is_file():
        return _near(example)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a {what} file{suggest('', _files(path, what))}")
    files = _files(path.parent, what)
    if path.parent.resolve() != folder.resolve():
        examples = [_near(Path(file)) for file in _files(folder, what)]
        files += [example.stem if example.is_absolute() else str(example) for example in examples]
    stems = [Path(file).stem for file in files]
    near = old_names.present(path.stem, stems) or nearest(path.stem, stems)
    shown = [file for file in files if near in (None, Path(file).stem)]
    # Those beside it come first; without a near one suggest() lists them all.
    hint = f"; did you mean '{shown[0]}'?" if near else suggest("", set(shown))
    raise UserError(f"no {what} file '{path}'{hint}")


def _files(folder: Path, what: str) -> list[str]:
    """Return the files in a folder that define `get_WHAT`."""
    found = [file for file in sorted(folder.glob("*.py")) if os.access(file, os.R_OK)]
    function = f"def get_{what}("
    return [str(f) for f in found if f.is_file() and function in f.read_text(errors="replace")]


def _near(path: Path) -> Path:
    """Return a path relative to the current folder if it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def call(path: Path, function: str, *arguments: Any) -> Any:
    """Return what a function of a Python file returns.

    Args:
        path: of the file, which is executed anew.
        function: its name, as "get_config".
        arguments: of the function.

    Raises:
        UserError: if the file has no such function or fails, with the file, the line of it that
            was reached last, and the type of the exception.
    """
    module = guarded(path, lambda: _module(path))
    if not callable(getattr(module, function, None)):
        raise UserError(f"{path}: has no function {function}()")
    called: Callable[..., Any] = getattr(module, function)
    try:
        inspect.signature(called).bind(*arguments)
    except TypeError as error:
        shown = ", ".join(map(repr, arguments))
        raise UserError(f"{path}: cannot call {function}({shown}): {error}") from None
    return guarded(path, lambda: called(*arguments))


def _module(path: Path) -> ModuleType:
    name = f"{path.stem}_file"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError("needs to be a Python file, NAME.py")
    # Dataclasses look their module up.
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def guarded(path: Path, run: Callable[[], Any]) -> Any:
    """Return what `run` returns, which executes a file.

    Raises:
        UserError: where it fails, with the line of the file that was reached last.
    """
    try:
        return run()
    except KeyboardInterrupt:
        raise
    # A file that calls sys.exit() must not end the program without a word either.
    except BaseException as error:
        words = _words(path, error)
        if isinstance(error, UserError) and path.name in words:
            raise
        line = _line(path, error)
        raise UserError(f"{path}{f', line {line}' if line else ''}: {words}") from None


def _line(path: Path, error: BaseException) -> int | None:
    """Return the line of the file that was reached last, None if none was."""
    if isinstance(error, SyntaxError) and _is(path, error.filename):
        return error.lineno
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if _is(path, f.filename)]
    return lines[-1] if lines else None


def _is(path: Path, other: str | None) -> bool:
    return bool(other) and Path(str(other)).resolve() == path.resolve()


def _words(path: Path, error: BaseException) -> str:
    """Return type and message of an exception in one line; a `UserError` is its message."""
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError) and _is(path, error.filename):
        # Its own text names the file again.
        text = error.msg
    if isinstance(error, UserError):
        return text
    hint = ""
    if isinstance(error, ModuleNotFoundError) and not IN_CHECKOUT and error.name:
        # What lies beside the package in a checkout is in it where pip has installed it.
        package, _, rest = error.name.partition(".")
        if package in INSTALLED_AS:
            hint = f"; write {'.'.join([INSTALLED_AS[package], *filter(None, [rest])])}"
    return f"{type(error).__name__}: {_about_entry(error) or text}".rstrip(": ") + hint


def _about_entry(error: BaseException) -> str:
    """Return in a few words what a `ConfigDict` raised; its own words list the whole config."""
    if not isinstance(error, AttributeError | KeyError | TypeError):
        return ""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    found = frames[-1].f_locals if frames else {}
    config, name = found.get("self"), found.get("attribute", found.get("key"))
    if not isinstance(config, ConfigDict) or not isinstance(name, str):
        return ""
    if name not in config:
        now = old_names.message(name, config)
        return now or f"there is no entry '{name}'{suggest_entry(name, config)}"
    if isinstance(error, TypeError) and "value" in found:
        return needs(name, type(config[name]), found["value"])
    return ""


def needs(name: str, kind: type, value: Any) -> str:
    """Return that an entry needs a value of this type, and what it was given."""
    wanted = KINDS.get(kind, kind.__name__)
    # A field of numbers takes none of numpy and jax where it is assigned to.
    foreign = kind in (int, float) and hasattr(value, "item")
    hint = f": write {kind.__name__}(...)" if foreign else ""
    return f"{name} needs {wanted}, not {value!r:.80} ({type(value).__name__}){hint}"
