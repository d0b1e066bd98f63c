"""Conversion between a sweep's space and Optuna's distributions and parameters.

Optuna stores choices as JSON, which would change a tuple, true or a whole point; choices are
therefore strings here, the JSON of the value.

Import this module inside functions: it needs Optuna.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna import distributions
from optuna.distributions import BaseDistribution

from cnnlab.sweeps.distributions import Choice, Distribution, Integers, LogUniform
from cnnlab.sweeps.space import Space
from cnnlab.sweeps.values import from_json


def unknowns(space: Space) -> dict[str, BaseDistribution]:
    """Return the distribution of each parameter that a search chooses."""
    return {name: _distribution(found) for name, found in space.parameters().items()}


def overrides(space: Space, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides that parameters of Optuna stand for."""
    parameters = space.parameters()
    values = {
        name: from_json(json.loads(value)) if isinstance(parameters[name], Choice) else value
        for name, value in chosen.items()
    }
    return space.point(values)


def parameters(space: Space, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of Optuna that stand for overrides; the inverse of `overrides`."""
    found: dict[str, Any] = {}
    for name, distribution in space.parameters().items():
        if isinstance(distribution, Choice):
            found[name] = next(_text(v) for v in distribution.values if _stands(name, v, point))
        else:
            found[name] = point[name]
    return found


def every(space: Space, limit: int = 100_000) -> Iterator[dict[str, Any]] | None:
    """Return all parameters that there are, or None where they are more than `limit`."""
    columns: list[Sequence[Any]] = []
    for distribution in space.parameters().values():
        if isinstance(distribution, Choice):
            columns.append(_texts(distribution))
        elif isinstance(distribution, Integers):
            columns.append(range(distribution.low, distribution.high + 1))
        else:
            return None
    if math.prod(map(len, columns)) > limit:
        return None
    names = list(space.parameters())
    return (dict(zip(names, row, strict=True)) for row in itertools.product(*columns))


def _distribution(found: Distribution) -> BaseDistribution:
    if isinstance(found, Choice):
        return distributions.CategoricalDistribution(_texts(found))
    if isinstance(found, Integers):
        return distributions.IntDistribution(found.low, found.high, log=found.log)
    low, high = found.corners()
    return distributions.FloatDistribution(low, high, log=isinstance(found, LogUniform))


def _stands(name: str, value: Any, point: Mapping[str, Any]) -> bool:
    """Return whether a choice is what a point has: of one key, or of a whole point."""
    if name in point:
        return _text(point[name]) == _text(value)
    return isinstance(value, Mapping) and all(
        key in point and _text(point[key]) == _text(entry) for key, entry in value.items()
    )


def _texts(choice: Choice) -> list[str]:
    return list(dict.fromkeys(map(_text, choice.values)))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
