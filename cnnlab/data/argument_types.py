"""Types of hyper-parameters: limits in their annotations, checked before any tracing.

`probability: Probability = 0.5` says to a reader and to `check_arguments` alike that the value is a
number from 0 to 1. A `Literal` annotation says that it is one of a few words.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_origin

from cnnlab.errors import UserError
from cnnlab.utils.registry import check_keywords, suggest


@dataclass(frozen=True)
class Limit:
    """A condition on a value, and the words for it in an error: "… is not `words`"."""

    words: str
    holds: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(value: Any, length: int = 0) -> bool:
    """Whether `value` is a list or tuple of `length` numbers; of one or more where that is 0."""
    listed = isinstance(value, list | tuple) and all(map(_number, value))
    return listed and (len(value) == length if length else len(value) > 0)


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


Number = float | int
Numbers = Annotated[Sequence[Number], Limit("a tuple of numbers", _numbers)]
Positives = Annotated[
    Sequence[Number],
    Limit("a tuple of numbers above 0", lambda v: _numbers(v) and min(v) > 0),
]
Probability = Annotated[Number, Limit("a number from 0 to 1", lambda v: _number(v) and 0 <= v <= 1)]
Probabilities = Annotated[
    Sequence[Number],
    Limit(
        "a tuple of numbers from 0 to 1",
        lambda v: isinstance(v, list | tuple) and all(_number(x) and 0 <= x <= 1 for x in v),
    ),
]
NonNegative = Annotated[Number, Limit("a number of 0 or more", lambda v: _number(v) and v >= 0)]
WholeNumber = Annotated[int, Limit("a whole number of 0 or more", lambda v: _whole(v) and v >= 0)]
PositiveWhole = Annotated[int, Limit("a whole number of 1 or more", lambda v: _whole(v) and v >= 1)]
TwoOrMore = Annotated[int, Limit("a whole number of 2 or more", lambda v: _whole(v) and v >= 2)]
PositiveWholes = Annotated[
    Sequence[int],
    Limit(
        "a tuple of whole numbers of 1 or more",
        lambda v: _numbers(v) and all(map(_whole, v)) and min(v) >= 1,
    ),
]
Interval = Annotated[
    Sequence[Number],
    Limit(
        "two numbers (low, high) with 0 < low <= high",
        lambda v: _numbers(v, 2) and 0 < v[0] <= v[1],
    ),
]
FractionInterval = Annotated[
    Sequence[Number],
    Limit(
        "two numbers (low, high) with 0 < low <= high <= 1",
        lambda v: _numbers(v, 2) and 0 < v[0] <= v[1] <= 1,
    ),
]


def check_arguments(function: Callable, arguments: Any, what: str) -> None:
    """Check the keyword `arguments` of `function` against its names and the limits it annotates.

    `what` is how messages call the function. Raises `UserError` for arguments that are no mapping,
    for an unknown name (with the nearest right one) and for a value outside its limit.
    """
    # A ConfigDict is no `Mapping` to isinstance, but has all that is needed of one.
    if not (isinstance(arguments, Mapping) or hasattr(arguments, "keys")):
        raise UserError(
            f"{what} = {arguments!r} is not a dict of its arguments; write {{}} for the defaults"
        )
    arguments = dict(arguments)
    check_keywords(function, arguments, what)
    parameters = signature(function).parameters
    # Others go to its **keywords.
    for name, value in ((n, v) for n, v in arguments.items() if n in parameters):
        annotation = parameters[name].annotation
        words = get_args(annotation) if get_origin(annotation) is Literal else ()
        if words and value not in words:
            raise UserError(f"unknown {what}.{name} {value!r}{suggest(str(value), words)}")
        for limit in getattr(annotation, "__metadata__", ()):
            if isinstance(limit, Limit) and not limit.holds(value):
                raise UserError(f"{what}.{name} = {value!r} is not {limit.words}")
