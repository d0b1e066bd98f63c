"""Spaces of a sweep: grids, zips, random draws and their products, as overrides of a config.

A sweep file's `get_sweep()` returns one of these, or a plain list of dictionaries. Keys are the
dotted names of a config, values what the entry is set to:

    product(
        zipped({"optimizer.name": ("sgd", "adamw"), "optimizer.learning_rate": (0.1, 0.002)}),
        draws({"optimizer.weight_decay": log_uniform(1e-5, 1e-1)}, count=10, seed=0),
    )

A space is also what an adaptive search draws from: `parameters()` are its unknowns, each with a
distribution, and `point()` turns a value for each into overrides.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cnnlab.errors import UserError
from cnnlab.sweeps.distributions import Choice, Distribution, choice, integers, log_uniform, uniform
from cnnlab.sweeps.values import LIMIT, plain_point, plain_values

Point = dict[str, Any]

__all__ = [
    "Point",
    "Space",
    "as_space",
    "chain",
    "choice",
    "draws",
    "grid",
    "integers",
    "log_uniform",
    "product",
    "uniform",
    "zipped",
]


def check_count(count: int) -> None:
    """Raise a `UserError` for more points than a sweep may have."""
    if count > LIMIT:
        raise UserError(
            f"a sweep of {count:,} points is more than {LIMIT:,}: take fewer values or draws, or "
            "let --search choose among them"
        )


@runtime_checkable
class Space(Protocol):
    """A set of points, and the unknowns that a search chooses."""

    def points(self) -> list[Point]:
        """Return every point, in order."""
        ...

    def parameters(self) -> dict[str, Distribution]:
        """Return the unknowns of a search, by name."""
        ...

    def point(self, values: Mapping[str, Any]) -> Point:
        """Return the overrides that a value for each of `parameters()` stands for."""
        ...


@dataclasses.dataclass(frozen=True)
class Grid:
    """Every combination of the values of each key; the last key changes fastest."""

    values: dict[str, tuple[Any, ...]]

    def points(self) -> list[Point]:
        """Return every combination."""
        check_count(math.prod(len(column) for column in self.values.values()))
        return [
            dict(zip(self.values, row, strict=True))
            for row in itertools.product(*self.values.values())
        ]

    def parameters(self) -> dict[str, Distribution]:
        """Return a choice for each key."""
        return {key: Choice(values) for key, values in self.values.items()}

    def point(self, values: Mapping[str, Any]) -> Point:
        """Return the values of this grid's keys."""
        return {key: values[key] for key in self.values}


@dataclasses.dataclass(frozen=True)
class Draws:
    """Points drawn at random, each key from its own distribution."""

    distributions: dict[str, Distribution]
    count: int
    seed: int

    def points(self) -> list[Point]:
        """Return `count` points; a longer list of the same seed begins with them."""
        check_count(self.count)
        random = np.random.default_rng(self.seed)
        return [
            {key: distribution.draw(random) for key, distribution in self.distributions.items()}
            for _ in range(self.count)
        ]

    def parameters(self) -> dict[str, Distribution]:
        """Return the distributions."""
        return dict(self.distributions)

    def point(self, values: Mapping[str, Any]) -> Point:
        """Return the values of these keys."""
        return {key: values[key] for key in self.distributions}


@dataclasses.dataclass(frozen=True)
class Listed:
    """Points one by one; for a search, one choice of a whole point, called `name`."""

    name: str
    listed: tuple[Point, ...]

    def points(self) -> list[Point]:
        """Return the list."""
        return [dict(point) for point in self.listed]

    def parameters(self) -> dict[str, Distribution]:
        """Return one choice among the points."""
        return {self.name: Choice(self.listed)}

    def point(self, values: Mapping[str, Any]) -> Point:
        """Return the point that was chosen."""
        return dict(values[self.name])


@dataclasses.dataclass(frozen=True)
class Product:
    """Every point of each part with every point of the others."""

    parts: tuple[Space, ...]

    def points(self) -> list[Point]:
        """Return every combination; the last part changes fastest."""
        lists = [part.points() for part in self.parts]
        check_count(math.prod(map(len, lists)))
        return [_merged(row) for row in itertools.product(*lists)]

    def parameters(self) -> dict[str, Distribution]:
        """Return the unknowns of all parts."""
        return _merged([part.parameters() for part in self.parts])

    def point(self, values: Mapping[str, Any]) -> Point:
        """Return the overrides of all parts."""
        return _merged([part.point(values) for part in self.parts])


def grid(values: Any) -> Grid:
    """Return every combination of the values of each key.

    Args:
        values: several for each key, `{"optimizer.learning_rate": (0.1, 0.01)}`.

    Raises:
        UserError: for a key without a value, or a value that no config holds.
    """
    return Grid({key: _several(key, entry) for key, entry in _keyed(values, "grid").items()})


def zipped(values: Any) -> Listed:
    """Return the first value of every key together, then the second, and so on.

    Args:
        values: as many for each key.

    Raises:
        UserError: if one key has more values than another.
    """
    columns = {key: _several(key, entry) for key, entry in _keyed(values, "zipped").items()}
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise UserError(f"zipped keys need as many values each, not: {found}")
    rows = zip(*columns.values(), strict=True)
    points = tuple(dict(zip(columns, row, strict=True)) for row in rows)
    return Listed(" & ".join(columns), points)


def draws(distributions: Any, count: Any, seed: int = 0) -> Draws:
    """Return points drawn at random.

    Args:
        distributions: of each key: `uniform`, `log_uniform`, `integers` or `choice`.
        count: how many points; an adaptive search takes as many as its --trials.
        seed: of the draws: the same seed draws the same points.

    Raises:
        UserError: for anything but distributions, or a count below 1.
    """
    for key, distribution in _keyed(distributions, "draws").items():
        if not isinstance(distribution, Distribution):
            raise UserError(
                f"draws: '{key}' needs uniform(low, high), log_uniform(low, high), "
                f"integers(low, high) or choice(values), not {distribution!r}"
            )
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(f"draws: count={count!r} needs to be a whole number of at least 1")
    return Draws(dict(distributions), count, seed)


def product(*parts: Any) -> Product:
    """Return every point of each part with every point of the others.

    Raises:
        UserError: if a key is in two parts.
    """
    spaces = tuple(as_space(part, f"part {number}") for number, part in enumerate(parts, 1))
    seen: set[str] = set()
    for space in spaces:
        keys = {key for point in space.points() for key in point}
        if seen & keys:
            raise UserError(f"product: '{min(seen & keys)}' is in two parts: which value holds?")
        seen |= keys
    return Product(spaces)


def chain(*parts: Any) -> Listed:
    """Return the points of each part, one part after the other."""
    spaces = [as_space(part, f"part {number}") for number, part in enumerate(parts, 1)]
    return Listed("point", tuple(point for space in spaces for point in space.points()))


def as_space(value: Any, name: str = "point") -> Space:
    """Return what a sweep file gave as a space: a list of dictionaries is one too.

    Raises:
        UserError: for anything else.
    """
    if isinstance(value, Grid | Draws | Listed | Product):
        return value
    if isinstance(value, Mapping) or not isinstance(value, Sequence) or isinstance(value, str):
        raise UserError(
            "a sweep is grid(...), zipped(...), draws(...), product(...), chain(...) or a list "
            f"of dictionaries of overrides, not {type(value).__name__}: {value!r:.60}"
        )
    return Listed(name, tuple(plain_point(point) for point in value))


def _keyed(values: Any, what: str) -> dict[str, Any]:
    if not isinstance(values, Mapping) or not values:
        raise UserError(f"{what} needs a dictionary with a config's keys, not {values!r:.60}")
    for key in values:
        if not isinstance(key, str):
            raise UserError(f"{what}: {key!r} is no key; a key is text, as 'optimizer.name'")
    return dict(values)


def _several(key: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise UserError(f"'{key}' needs several values, as [{values!r}], not {values!r:.60}")
    found = plain_values(values, key)
    if not found:
        raise UserError(f"'{key}' has no value to try")
    return found


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}
