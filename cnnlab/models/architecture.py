"""An entry of the table of models: class, paper, input shape, arguments, published accuracy."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from cnnlab.utils.param_paths import HEADS


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A module, the arguments that make it this architecture, and what its paper says of it.

    Attributes:
        module: the class; its fields are the keyword arguments of `create`.
        paper: authors, year and table.
        input: height, width and channels of the paper's images; samples of its sound. Of a model
            without a paper, those that it is summarized with.
        arguments: fields that differ from the defaults of the class; they can be overridden too.
        top1: accuracy in the paper, in percent; None where it gives none.
        top5: the same for the five most probable classes.
        protocol: what the paper's accuracies were measured on, and how.
    """

    module: type[nn.Module]
    paper: str
    input: tuple[int, ...] = (224, 224, 3)
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    top1: float | None = None
    top5: float | None = None
    protocol: str = ""

    def fields(self) -> dict[str, Any]:
        """Return every keyword argument with its default; None for one that has none.

        Fields whose default is no data (a function, a module) stay as the class has them.
        """
        own = {field.name: _default(field) for field in self._own()}
        data = {key: value for key, value in own.items() if _is_data(value)}
        return {**data, **dict.fromkeys(self.required()), **self.arguments}

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the modules that are the classifier: what the module declares, or `logits`."""
        return tuple(getattr(self.module, "head_names", HEADS))

    def required(self) -> list[str]:
        """Return the fields without a default."""
        missing = [field.name for field in self._own() if _default(field) is dataclasses.MISSING]
        return [name for name in missing if name not in self.arguments]

    def _own(self) -> list[dataclasses.Field]:
        # flax adds `parent` and `name`, which are not for configs.
        fields = dataclasses.fields(self.module)
        return [field for field in fields if field.init and field.name not in ("parent", "name")]


def _default(field: dataclasses.Field) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _is_data(value: Any) -> bool:
    """Return whether a value can be an entry of a config."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_data(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_data, value))
    return value is None or isinstance(value, bool | int | float | str)
