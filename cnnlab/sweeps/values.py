"""Values of config entries: as plain Python, as JSON, and as the text of a command line."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cnnlab.errors import UserError

# Points of a sweep: each is checked, and a file and a folder on disk.
LIMIT = 100_000


def plain(value: Any, key: str) -> Any:
    """Return a value as a config holds it: numbers of NumPy as Python's, lists as tuples.

    Args:
        value: what a sweep file gives.
        key: whose value it is, for the message.

    Raises:
        UserError: for what no command line could say, a function for example.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    try:
        if isinstance(value, list | tuple | np.ndarray):
            return tuple(plain(entry, key) for entry in value)
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return {name: plain(entry, key) for name, entry in value.items()}
    except RecursionError:
        raise UserError(
            f"'{key}' is given a value that is nested too deep, or holds itself"
        ) from None
    raise UserError(
        f"'{key}' is given {value!r:.60} ({type(value).__name__}): a config holds numbers, text, "
        "true and false, tuples and dictionaries of them"
    )


def plain_values(values: Iterable[Any], key: str) -> tuple[Any, ...]:
    """Return every value `plain`.

    Raises:
        UserError: likewise, and for more values than a sweep has points; there may be no end.
    """
    found = tuple(plain(value, key) for value in itertools.islice(values, LIMIT + 1))
    if len(found) > LIMIT:
        raise UserError(f"'{key}' has more than {LIMIT:,} values: take fewer")
    return found


def plain_point(point: Any) -> dict[str, Any]:
    """Return a dictionary of overrides with every value `plain`."""
    if not isinstance(point, Mapping) or not all(isinstance(key, str) for key in point):
        raise UserError(f"a point of a sweep is a dictionary of overrides, not {point!r:.60}")
    return {key: plain(value, key) for key, value in point.items()}


def text(value: Any) -> str:
    """Return a value as `--config.KEY=` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    shown = repr(value)
    # A shell needs no more than one pair of single quotes around double ones.
    return shown if '"' in shown or "\\" in shown else shown.replace("'", '"')


def arguments(overrides: Mapping[str, Any]) -> list[str]:
    """Return the command-line arguments that set these entries."""
    return [f"--config.{key}={text(value)}" for key, value in overrides.items()]


def from_json(value: Any) -> Any:
    """Return what JSON made of a plain value: its lists are tuples."""
    if isinstance(value, dict):
        return {key: from_json(entry) for key, entry in value.items()}
    return tuple(map(from_json, value)) if isinstance(value, list) else value
