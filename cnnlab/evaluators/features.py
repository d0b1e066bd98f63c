"""The input and the result of evaluators: features with integer keys, values and curves.

Shapes: features [n, d] float32, each key [n] integers.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer, UInt64

from cnnlab.errors import UserError
from cnnlab.utils.registry import suggest


@dataclass(frozen=True, eq=False)
class Features:
    """A split of a data set as a network sees it.

    Attributes:
        features: one row an example.
        keys: integers of the examples by name: "label", and what else there is, as "alphabet".
        source: where the rows come from; None where nobody asks.
        index: of each row in `source`; None: all of it, in its order.
        ids: which example each row is (`data/sources/identity.py`); None where that is not known.

    Raises:
        UserError: there are no rows, a feature is NaN or infinite, or a key is not one integer a
            row.
    """

    features: Float[np.ndarray, "n d"]
    keys: dict[str, np.ndarray]
    source: Any = None
    index: Integer[np.ndarray, "n"] | None = None
    ids: UInt64[np.ndarray, "n"] | None = None

    def __post_init__(self) -> None:
        rows = len(self.features)
        if not self.features.size:
            raise UserError(f"embeddings of shape {self.features.shape} hold nothing to evaluate")
        broken = int((~np.isfinite(self.features).all(axis=1)).sum())
        if broken:
            raise UserError(
                f"{broken} of {rows} embeddings hold NaN or infinity: has the training diverged?"
            )
        for name, values in self.keys.items():
            if values.shape != (rows,):
                raise UserError(
                    f"key '{name}' has shape {values.shape}, not one integer for each of the"
                    f" {rows} embeddings"
                )
            if not np.issubdtype(values.dtype, np.integer):
                raise UserError(f"key '{name}' must be integers, one an example: {values.dtype}")

    def __len__(self) -> int:
        return len(self.features)

    def key(self, name: str) -> Integer[np.ndarray, "n"]:
        """Return a key; UserError if the data set has none of that name."""
        if name not in self.keys:
            raise UserError(f"the data set has no key '{name}'{suggest(name, self.keys)}")
        return self.keys[name]

    def labeled_by(self, name: str) -> "Features":
        """Return the same rows with another key as their class."""
        return (
            self if name == "label" else replace(self, keys={**self.keys, "label": self.key(name)})
        )

    def take(self, kept: Bool[np.ndarray, "n"]) -> "Features":
        """Return the rows where `kept` is true."""
        index = np.arange(len(self)) if self.index is None else self.index
        return Features(
            self.features[kept],
            {name: values[kept] for name, values in self.keys.items()},
            self.source,
            index[kept],
            None if self.ids is None else self.ids[kept],
        )

    @property
    def label(self) -> Integer[np.ndarray, "n"]:
        """The class of every row."""
        return self.key("label")


@dataclass(frozen=True, eq=False)
class EvalResult:
    """What an evaluator found.

    Attributes:
        setting: the protocol with its hyper-parameters, also those chosen on the tuning split.
        values: numbers by name; shares lie in [0, 1].
        curves: pairs of arrays (x, y) by name, as "roc": (false accepts, true accepts).
    """

    setting: str
    values: dict[str, float]
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def same_split(a: Features, b: Features) -> bool:
    """Return whether both are the same rows: one object, or two around the same features."""
    return a is b or a.features is b.features


def overlap(a: Features, b: Features) -> tuple[Integer[np.ndarray, "k"], Integer[np.ndarray, "k"]]:
    """Return every pair of a row of `a` and a row of `b` that are the same example.

    Returns:
        rows of `a`, ascending, and rows of `b`; none where examples have no identity, unless both
        are the same rows.
    """
    if a.ids is None or b.ids is None:
        rows = np.arange(len(a) if same_split(a, b) else 0)
        return rows, rows
    order = np.argsort(b.ids, kind="stable")
    first, last = (np.searchsorted(b.ids, a.ids, side, sorter=order) for side in ("left", "right"))
    counts = last - first
    rows = np.repeat(np.arange(len(a)), counts)
    starts = np.cumsum(counts) - counts
    return rows, order[np.arange(len(rows)) - starts[rows] + first[rows]]


def without(a: Features, *others: Features) -> Features | None:
    """Return the rows of `a` whose example is in none of `others`; None if there are none.

    Where all stay, `a` itself is returned.
    """
    kept = np.ones(len(a), bool)
    for other in others:
        kept[overlap(a, other)[0]] = False
    if kept.all():
        return a
    return a.take(kept) if kept.any() else None
