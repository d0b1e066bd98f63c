"""The points of a sweep, read from its file and checked against the config before anything runs."""

import importlib.util
import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_flags import config_path

from cnnlab.choices import suggest
from cnnlab.errors import UserError
from cnnlab.sweeps.space import Point, Space, as_space
from cnnlab.sweeps.values import arguments, text

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a tuple",
    ConfigDict: "a dictionary",
}


def load(path: Path) -> Space:
    """Return what the `get_sweep()` of a sweep file returns.

    Raises:
        UserError: if there is no such file or function, or it fails.
    """
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path("configs/sweeps")
        there = [str(p) for p in folder.glob("*.py") if not p.name.startswith("_")]
        hint = suggest(str(path), there) if there else ""
        raise UserError(f"no sweep file '{path}'{hint}")
    spec = importlib.util.spec_from_file_location("sweep", path)
    if spec is None or spec.loader is None:
        raise UserError(f"--sweep={path}: a sweep file is a Python file, configs/sweeps/NAME.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "get_sweep"):
            raise UserError("has no function get_sweep()")
        return as_space(module.get_sweep())
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:
        # The sweep file is a person's own program, and this is what it does wrong.
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == spec.origin
        ]
        line = error.lineno if isinstance(error, SyntaxError) else (lines or [None])[-1]
        raise UserError(
            f"the sweep file fails with {type(error).__name__}: {error} ({path}, line {line})"
        ) from None


def check(
    points: Sequence[Point], config: str, overrides: Mapping[str, Any], base: ConfigDict
) -> tuple[list[Point], int]:
    """Return the points that differ, values as the config holds them, and how many were repeats.

    Args:
        points: of the sweep.
        config: config file, with a variant after a colon.
        overrides: entries that every trial sets alike.
        base: the config with them set, as `launch.py train` would have it.

    Raises:
        UserError: for a point that `launch.py train` would refuse, an entry that does not exist
            or a value of the wrong type for example.
    """
    if not points:
        raise UserError("the sweep is empty: it has no point to try")
    parsers: dict[tuple[str, ...], dict[str, Any]] = {}
    unique: dict[str, Point] = {}
    settled = base.to_dict()
    for number, point in enumerate(points):
        try:
            keys = tuple(point)
            if keys not in parsers:
                parsers[keys] = _parsers(point, config, overrides)
            parsed = {key: _parse(parsers[keys][key], key, point[key], base) for key in point}
            _check_config(ConfigDict(settled), parsed)
        except UserError as error:
            shown = ", ".join(arguments(point))
            raise UserError(f"point {number} of the sweep ({shown:.200}): {error}") from None
        unique.setdefault(json.dumps(parsed, sort_keys=True), parsed)
    return list(unique.values()), len(points) - len(unique)


def corners(space: Space) -> Iterator[Point]:
    """Yield points that hold every end and every choice of a search's space at least once."""
    ends = {name: found.corners() for name, found in space.parameters().items()}
    first = {name: values[0] for name, values in ends.items()}
    yield space.point(first)
    for name, values in ends.items():
        for value in values[1:]:
            yield space.point({**first, name: value})


def _parsers(point: Point, config: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `launch.py train` parses each value with, once it has accepted them together."""
    from cnnlab.commands.parsing import parse

    settings = {key: value for key, value in overrides.items() if key not in point}
    given = [f"--config={config}", *arguments({**settings, **point})]
    parsed = parse("train", given)
    assert parsed is not None
    values, _ = parsed
    return {key: values[f"config.{key}"].parser for key in point}


def _parse(parser: Any, key: str, value: Any, base: ConfigDict) -> Any:
    """Return a value as the config holds it after it went through a command line."""
    try:
        parsed = parser.parse(text(value))
    except (ValueError, TypeError):
        parsed = _WRONG
    if isinstance(parsed, ConfigDict):
        parsed = parsed.to_dict()
    if parsed is _WRONG or parsed != value:
        kind = type(config_path.get_value(key, base))
        needs = KINDS.get(kind, kind.__name__)
        raise UserError(f"{key} needs {needs}, not {value!r} ({type(value).__name__})")
    return parsed


_WRONG = object()


def _check_config(config: ConfigDict, point: Point) -> None:
    """Raise a `UserError` for a config that a run would refuse before its first step."""
    import experiments
    from cnnlab import labeled
    from cnnlab.training import setup

    for key, value in point.items():
        config_path.set_value(key, config, value)
    setup.check(config)
    labeled.check(config)
    experiments.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )
    # A run in epochs learns its steps from the data; names and ranges are checked all the same.
    setup.learning(config, config.steps or 1000)
