"""A catalog entry: a small instance of a layer, its paper and formula, a worked example."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array


@dataclass(frozen=True)
class Layer:
    """One layer: a small instance of it, its paper and formula, and a worked example.

    Attributes:
        module: makes the instance.
        inputs: makes its inputs from a key: arrays whose first axis counts 8 examples.
        paper: authors and year, with the equation, table or section.
        formula: on one line.
        example: returns computed and expected values for a case worked by hand.
        call: further keyword arguments of the call.
        joint: whether the examples of a batch depend on each other (batch statistics).
    """

    module: Callable[[], nn.Module]
    inputs: Callable[[Array], tuple[Array, ...]]
    paper: str
    formula: str
    example: Callable[[], tuple[Any, Any]]
    call: Mapping[str, Any] = field(default_factory=dict)
    joint: bool = False


def normal(*shape: int) -> Callable[[Array], tuple[Array, ...]]:
    """Return a maker of one input: 8 examples of standard normal numbers of this shape."""
    return lambda key: (jax.random.normal(key, (8, *shape)),)
