"""What all sources have in common, and where prepared sets live."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from cnnlab.files import expand

# Kinds of source whose name has a path behind a colon.
OWN = ("folder", "wav", "npz")
Spec = Mapping[str, tuple[tuple[int | None, ...], str]]


@dataclass(frozen=True)
class Info:
    """What a source holds.

    Attributes:
        name, split: as it was asked for.
        class_names: name of each label, in order; empty if there are no classes.
        spec: for each key, the shape of one example (None where it varies) and the dtype.
    """

    name: str
    split: str
    class_names: tuple[str, ...] = ()
    spec: Spec = field(default_factory=dict)

    def output_names(self, count: int) -> tuple[str, ...]:
        """Return distinct names of so many outputs: of an output without a class, its number."""
        names: list[str] = []
        for number in range(count):
            known = number < len(self.class_names)
            name = self.class_names[number] if known else str(number)
            names.append(f"{name} [{number}]" if name in names else name)
        return tuple(names)


@runtime_checkable
class Source(Protocol):
    """Examples by index: the same at every call, from any thread."""

    info: Info

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, np.ndarray]: ...


def data_folder(data_dir: str = "") -> str:
    """Return where prepared sets live.

    That is `data_dir`, or if it is empty CNNLAB_DATA, TFDS_DATA_DIR, ~/tensorflow_datasets.
    """
    variables = os.environ.get("CNNLAB_DATA") or os.environ.get("TFDS_DATA_DIR")
    return expand(data_dir or variables or "~/tensorflow_datasets")
