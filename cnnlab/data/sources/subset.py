"""A part of a source: some of its classes, and a few examples of each.

Labels are renumbered in the order in which the classes are named; other keys (the classes of
single objects, say) stay as they are. The few examples are drawn by a seed: of each class the first
n of a permutation that depends on the seed and the class alone, so that 5 of a class are among the
10 that the same seed draws, whatever other classes there are. Examples keep their order.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnlab.errors import UserError
from cnnlab.utils.console import LOG
from cnnlab.utils.registry import suggest

# Beside the seed, so that no other use of it draws the same numbers.
PURPOSE = 2
# Of classes, in messages.
SHOWN = 10


class Subset:
    """A view of the examples of some classes.

    Attributes:
        info: of the source, with the names of the classes that are kept.
        indices: of the examples in the source, ascending.
    """

    def __init__(
        self,
        source: Any,
        *,
        classes: Sequence[str | int] = (),
        per_class: int = 0,
        seed: int = 0,
        key: str = "label",
    ):
        """Look through the labels.

        Args:
            source: whose label is one integer.
            classes: names, or numbers, of those to keep; () for all.
            per_class: examples to draw of each; 0 for all.
            seed: of the draw.
            key: of the label in an example.

        Raises:
            UserError: an unknown class, or one named twice; too few examples of one; no labels.
        """
        info = source.info
        if info.spec.get(key, (None,))[0] != ():
            raise UserError(f"'{info.name}' has no classes to choose from: no {key}, one a picture")
        if per_class < 0:
            raise UserError(f"data.train.per_class={per_class}: needs to be 0 or more")
        labels = labels_of(source, key)
        names = info.class_names or tuple(map(str, range(1 + labels.max(initial=0))))
        chosen = [_number(c, names, info.name) for c in classes] or list(range(len(names)))
        for number in chosen:
            if chosen.count(number) > 1:
                raise UserError(f"data.classes names '{names[number]}' twice")
        parts = [np.flatnonzero(labels == number) for number in chosen]
        if per_class:
            for i, number in enumerate(chosen):
                if len(parts[i]) < per_class:
                    raise UserError(
                        f"data.train.per_class={per_class}, but '{info.name}' split "
                        f"'{info.split}' has {len(parts[i])} examples of '{names[number]}'"
                    )
                order = np.random.default_rng((seed, PURPOSE, number)).permutation(len(parts[i]))
                parts[i] = parts[i][order[:per_class]]
        self.source, self.key = source, key
        self.indices = np.sort(np.concatenate(parts))
        self.info = replace(info, class_names=tuple(names[number] for number in chosen))
        self._renumbered = {number: i for i, number in enumerate(chosen)}

    @classmethod
    def numbered_as(cls, source: Any, names: Sequence[str], key: str = "label") -> Any:
        """Return the source with the class called `names[i]` as label i, whatever it was.

        Classes that are not among `names` are left out, with a warning. Where one of the two has
        no names, or numbers for names, there is nothing to compare.

        Raises:
            UserError: classes of both are missing on the other side, as when one was renamed.
        """
        info = source.info
        own = info.class_names
        if own == tuple(names) or _unnamed(own) or _unnamed(names):
            return source
        lacking = [name for name in names if name not in own]
        beside = [name for name in own if name not in names]
        if lacking and beside:
            raise UserError(
                f"'{info.name}' has other classes than those trained on: it lacks "
                f"{_listed(lacking)} and has {_listed(beside)} instead (trained on: "
                f"{_listed(names)}); give renamed classes their names back, or train anew in "
                "another --workdir"
            )
        for which, words in ((lacking, "there are none of"), (beside, "left out are")):
            if which:
                LOG.warning(
                    "'%s' split '%s' has other classes than those trained on: %s %s",
                    info.name,
                    info.split,
                    words,
                    _listed(which),
                )
        made = cls.__new__(cls)
        made._renumbered = {
            i: list(names).index(name) for i, name in enumerate(own) if name in names
        }
        made.source, made.key = source, key
        made.indices = np.flatnonzero(np.isin(labels_of(source, key), list(made._renumbered)))
        made.info = replace(info, class_names=tuple(names))
        return made

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        example = dict(self.source[int(self.indices[index])])
        label = np.asarray(example[self.key])
        example[self.key] = np.asarray(self._renumbered[int(label)], label.dtype)
        return example

    def labels(self) -> np.ndarray:
        """Return the label of every example."""
        numbers = labels_of(self.source, self.key)[self.indices]
        return np.array([self._renumbered[int(n)] for n in numbers])


def _unnamed(names: Sequence[str]) -> bool:
    return tuple(names) == tuple(map(str, range(len(names))))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:SHOWN]) + more


def labels_of(source: Any, key: str = "label") -> np.ndarray:
    """Return the label of every example, without the images where the source can do so.

    A source's own `labels` are those under the key "label", a subset's those under its own key.
    """
    if hasattr(source, "labels") and getattr(source, "key", "label") == key:
        return np.asarray(source.labels())
    return np.array([int(source[i][key]) for i in range(len(source))], int)


def _number(entry: str | int, names: Sequence[str], source: str) -> int:
    if isinstance(entry, str):
        if entry not in names:
            raise UserError(f"data.classes: '{source}' has no '{entry}'{suggest(entry, names)}")
        return list(names).index(entry)
    if not 0 <= entry < len(names):
        raise UserError(
            f"data.classes: '{source}' has no class {entry}, only 0 to {len(names) - 1}"
        )
    return int(entry)
