"""The points of a sweep, read from its file and checked against the config before anything runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import config_path

from cnnlab import config as cfg
from cnnlab import config_file
from cnnlab.errors import UserError
from cnnlab.sweeps.space import Point, Space, as_space
from cnnlab.sweeps.values import arguments, text
from cnnlab.utils import user_file
from cnnlab.utils.installation import EXAMPLES


def load(path: Path) -> Space:
    """Return what the `get_sweep()` of a sweep file, or of an example by its name, returns.

    Raises:
        UserError: if there is no such file or function, or it fails.
    """
    path = user_file.find(path, "sweep", EXAMPLES / "sweeps")
    space = user_file.call(path, "get_sweep")
    try:
        return as_space(space)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def check(
    points: Sequence[Point], config: str, overrides: Mapping[str, Any]
) -> tuple[list[Point], int]:
    """Return the points that differ, values as the config holds them, and how many were repeats.

    Args:
        points: of the sweep.
        config: config file, with a variant after a colon.
        overrides: entries that every trial sets alike.

    Raises:
        UserError: for a point that `launch.py train` would refuse, an entry that does not exist
            or a value of the wrong type for example.
    """
    if not points:
        raise UserError("the sweep is empty: it has no point to try")
    commands: dict[tuple[str, ...], flags.FlagValues] = {}
    unique: dict[str, Point] = {}
    for number, point in enumerate(points):
        try:
            # A command line is parsed once for all points that set the same entries, unless they
            # name other models: what there is to set depends on those.
            named = [key for key in point if key.partition(".")[0] in cfg.NAMED]
            alike = (*point, *(repr(point[key]) for key in named if key.endswith(".name")))
            if alike not in commands:
                commands[alike] = _command(point, config, overrides)
            values = commands[alike]
            parsed = {key: _parse(values, key, point[key]) for key in point}
            _check_config(ConfigDict(values.config.to_dict()), parsed)
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


def _command(point: Point, config: str, overrides: Mapping[str, Any]) -> flags.FlagValues:
    """Return the flags of `launch.py train` for a point, once it has accepted its values."""
    from cnnlab.commands.parsing import parse

    settings = {key: value for key, value in overrides.items() if key not in point}
    given = [f"--config={config}", *arguments({**settings, **point})]
    parsed = parse("train", given)
    assert parsed is not None
    return parsed[0]


def _parse(values: flags.FlagValues, key: str, value: Any) -> Any:
    """Return a value as the config holds it after it went through a command line."""
    try:
        parsed = values[f"config.{key}"].parser.parse(text(value))
    except (ValueError, TypeError):
        parsed = _WRONG
    if isinstance(parsed, ConfigDict):
        parsed = parsed.to_dict()
    if parsed is _WRONG or parsed != value:
        kind = type(config_path.get_value(key, values.config))
        raise UserError(user_file.needs(key, kind, value))
    return parsed


_WRONG = object()


def _check_config(config: ConfigDict, point: Point) -> None:
    """Raise a `UserError` for a config that a run would refuse before its first step."""
    from cnnlab import objectives
    from cnnlab.runs import controls
    from cnnlab.training import config_check

    for key, value in point.items():
        config_path.set_value(key, config, value)
    config_file.check(config)
    config_check.check(config)
    controls.check(config)
    objectives.create(
        config.experiment.to_dict(), config.model.to_dict(), sync_bn=config.parallel.sync_bn
    )
