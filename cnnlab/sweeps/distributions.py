"""Distributions that a sweep draws values from; a search maps them to its own."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cnnlab.errors import UserError
from cnnlab.sweeps.values import plain_values


@runtime_checkable
class Distribution(Protocol):
    """What one value is drawn from."""

    def draw(self, random: np.random.Generator) -> Any:
        """Return one value."""
        ...

    def corners(self) -> tuple[Any, ...]:
        """Return values that are right if all are: both ends, or every choice."""
        ...


@dataclasses.dataclass(frozen=True)
class Uniform:
    """A number between two others, every one as likely."""

    low: float
    high: float

    def corners(self) -> tuple[Any, ...]:
        """Return both ends."""
        return self.low, self.high

    def draw(self, random: np.random.Generator) -> float:
        """Return a float from [low, high)."""
        return float(random.uniform(self.low, self.high))


@dataclasses.dataclass(frozen=True)
class LogUniform:
    """A positive number whose logarithm is uniform: every order of magnitude as likely."""

    low: float
    high: float

    def corners(self) -> tuple[Any, ...]:
        """Return both ends."""
        return self.low, self.high

    def draw(self, random: np.random.Generator) -> float:
        """Return a float from [low, high]."""
        drawn = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)


@dataclasses.dataclass(frozen=True)
class Integers:
    """A whole number, both ends included; with `log`, every order of magnitude as likely."""

    low: int
    high: int
    log: bool = False

    def corners(self) -> tuple[Any, ...]:
        """Return both ends."""
        return self.low, self.high

    def draw(self, random: np.random.Generator) -> int:
        """Return an int from [low, high]."""
        if not self.log:
            return int(random.integers(self.low, self.high, endpoint=True))
        ends = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return min(max(round(math.exp(random.uniform(*ends))), self.low), self.high)


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several values, each as likely."""

    values: tuple[Any, ...]

    def corners(self) -> tuple[Any, ...]:
        """Return every choice."""
        return self.values

    def draw(self, random: np.random.Generator) -> Any:
        """Return one of the values."""
        return self.values[int(random.integers(len(self.values)))]


def uniform(low: Any, high: Any) -> Uniform:
    """Return a float from `low` to `high`."""
    return Uniform(*_ends("uniform", low, high))


def log_uniform(low: Any, high: Any) -> LogUniform:
    """Return a float from `low` to `high`, both above zero, on a logarithmic scale."""
    low, high = _ends("log_uniform", low, high)
    if low <= 0:
        raise UserError(f"log_uniform({low}, {high}): both need to be above zero")
    return LogUniform(low, high)


def integers(low: Any, high: Any, *, log: bool = False) -> Integers:
    """Return a whole number from `low` to `high`, both included."""
    _ends("integers", low, high)
    if int(low) != low or int(high) != high:
        raise UserError(f"integers({low}, {high}): both need to be whole numbers")
    if log and low < 1:
        raise UserError(f"integers({low}, {high}, log=True): both need to be above zero")
    return Integers(int(low), int(high), log)


def choice(*values: Any) -> Choice:
    """Return one of several values: `choice("sgd", "adamw")`, or `choice(["sgd", "adamw"])`."""
    several: Iterable[Any] = values
    if len(values) == 1 and isinstance(values[0], Iterable):
        several = values[0]
    if isinstance(several, str | Mapping):
        raise UserError(f"choice needs several values, not {several!r}")
    found = plain_values(several, "choice")
    if not found:
        raise UserError("choice needs a value to choose")
    return Choice(found)


def _ends(name: str, low: Any, high: Any) -> tuple[float, float]:
    for end in (low, high):
        number = isinstance(end, int | float | np.number) and not isinstance(end, bool)
        if not number or not math.isfinite(end):
            raise UserError(f"{name}({low!r}, {high!r}): both need to be finite numbers")
    if low >= high:
        raise UserError(f"{name}({low!r}, {high!r}): the first needs to be below the second")
    return float(low), float(high)
