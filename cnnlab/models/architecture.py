"""What the table of models holds for each name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A module, the arguments that make it this architecture, and what its paper says of it.

    Attributes:
        module: the class; its fields are the keyword arguments of `create`.
        paper: authors, year and table.
        input: height, width and channels of the paper's images; samples of its sound.
        arguments: fields that differ from the defaults of the class; they can be overridden too.
        top1: accuracy in the paper, in percent; None where it gives none.
        top5: the same for the five most probable classes.
        protocol: what the paper's accuracies were measured on, and how.
    """

    module: type[nn.Module]
    paper: str
    input: tuple[int, ...]
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    top1: float | None = None
    top5: float | None = None
    protocol: str = ""

    def fields(self) -> dict[str, Any]:
        """Return every keyword argument with its default."""
        own = {
            field.name: field.default
            for field in dataclasses.fields(self.module)
            # flax adds `parent` and `name`, which are not for configs.
            if field.default is not dataclasses.MISSING and field.name not in ("parent", "name")
        }
        return {**own, **self.arguments}
