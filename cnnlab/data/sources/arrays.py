"""Rows of arrays that a source holds in memory, in one split or several."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlab.data.sources.identity import row_ids
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import UserError

Rows = Mapping[str, np.ndarray]


class ArraysSource:
    """The rows that a split expression selects."""

    def __init__(
        self,
        name: str,
        split: str,
        *,
        lengths: Mapping[str, int],
        read: Callable[[str], Rows],
        class_names: Sequence[str],
        place: Path,
    ):
        """Read the splits that `split` asks for.

        Args:
            name: of the set, for messages.
            split: the expression.
            lengths: number of examples of each split.
            read: returns the arrays of a split by key, one of them `label`; all have as many rows.
            class_names: of the labels.
            place: of the data, by which examples are the same or not.

        Raises:
            UserError: there is no such split, or arrays differ between those it asks for.
        """
        ranges = resolve(split, {key: [count] for key, count in lengths.items()}, name=name)
        parts = {key: read(key) for key in dict.fromkeys(part for part, _, _ in ranges)}
        first = next(iter(parts.values()))
        for rows in parts.values():
            _check_alike(name, first, rows)
        self._rows = {
            key: np.concatenate([parts[part][key][start:stop] for part, start, stop in ranges])
            for key in first
        }
        self._ranges, self._place = ranges, str(place.resolve())
        spec = {key: (rows.shape[1:], rows.dtype.name) for key, rows in self._rows.items()}
        self.info = Info(name, split, tuple(class_names), spec)

    def __len__(self) -> int:
        return len(self._rows["label"])

    def labels(self) -> np.ndarray:
        """Return every label."""
        return self._rows["label"]

    def ids(self) -> np.ndarray:
        """Return the identity of every row; see `cnnlab.data.sources.identity`."""
        return row_ids(self._place, self._ranges)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: np.asarray(rows[index]) for key, rows in self._rows.items()}


def _check_alike(name: str, one: Rows, other: Rows) -> None:
    if one.keys() != other.keys():
        raise UserError(f"{name}: splits differ in arrays: {sorted(one)} and {sorted(other)}")
    for key in one:
        if one[key].shape[1:] != other[key].shape[1:]:
            raise UserError(
                f"{name}: '{key}' differs between splits: rows of shape {one[key].shape[1:]} and "
                f"{other[key].shape[1:]}"
            )
