"""Which examples a training batch holds: a pure function of the seed and the batch's number.

    shuffle   every example once an epoch, in random order
    classes   P classes drawn without replacement, K examples of each: the batches of metric
              learning (Schroff et al. 2015, section 3.2; Hermans et al. 2017, "PK")
    pairs     two examples a row, of one class or of two (Koch et al. 2015)

Nothing is remembered between batches, so that memory, device and Grain deliver the same ones and a
run resumes anywhere.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from cnnlab.data.loading.order import example_indices
from cnnlab.errors import UserError
from cnnlab.utils.registry import check_keywords, pick

# Beside the seed, so that no other use of it draws the same numbers.
PURPOSE = 3
# Threads read the rows of a batch one by one, and ask for its indices each time.
REMEMBERED = 8


def shuffle(
    seed: int, step: int, batch_size: int, members: list[np.ndarray], count: int
) -> Int[np.ndarray, "b"]:
    """Return the next `batch_size` of the endless stream of shuffled epochs."""
    del members
    return example_indices(seed, step * batch_size, (step + 1) * batch_size, count)


def classes(
    seed: int,
    step: int,
    batch_size: int,
    members: list[np.ndarray],
    count: int,
    *,
    per_class: int = 4,
) -> Int[np.ndarray, "b"]:
    """Return `per_class` examples of each of `batch_size / per_class` classes, one after another.

    Of a class with fewer examples some come twice: augmented, they still differ.

    Args:
        per_class: examples of each class in a batch, K.
    """
    del count
    if per_class < 2 or batch_size % per_class:
        raise UserError(
            f"sampler.classes.per_class={per_class}: needs 2 or more, and to divide "
            f"batch_size={batch_size}"
        )
    several = [part for part in members if len(part) > 1]
    wanted = batch_size // per_class
    if wanted > len(several):
        raise UserError(
            f"batch_size={batch_size} is {wanted} classes of {per_class}, but {len(several)} "
            "classes have more than one example: set a smaller batch_size or a larger "
            "data.train.sampler.classes.per_class"
        )
    rng = np.random.default_rng((seed, PURPOSE, step))
    drawn = [several[c] for c in rng.choice(len(several), wanted, replace=False)]
    return np.concatenate([rng.choice(m, per_class, replace=len(m) < per_class) for m in drawn])


def pairs(
    seed: int,
    step: int,
    batch_size: int,
    members: list[np.ndarray],
    count: int,
    *,
    same: float = 0.5,
) -> Int[np.ndarray, "b 2"]:
    """Return pairs of examples; `same` is the share of those of one class, rounded, in mixed order.

    Classes are drawn uniformly, whatever their size; the two of one class are never one example.

    Args:
        same: share of pairs of one class.
    """
    del count
    if not 0 <= same <= 1:
        raise UserError(f"sampler.pairs.same={same}: needs a share from 0 to 1")
    several = [part for part in members if len(part) > 1]
    if len(members) < 2 or not several:
        raise UserError("pairs need two classes, and one with more than one example")
    rng = np.random.default_rng((seed, PURPOSE, step))
    rows = []
    for row in range(batch_size):
        if row < round(same * batch_size):
            rows.append(rng.choice(several[rng.integers(len(several))], 2, replace=False))
        else:
            two = rng.choice(len(members), 2, replace=False)
            rows.append(np.array([rng.choice(members[c]) for c in two]))
    return rng.permutation(np.stack(rows))


SAMPLERS: dict[str, Callable[..., np.ndarray]] = {
    "shuffle": shuffle,
    "classes": classes,
    "pairs": pairs,
}


class Sampler:
    """The sampler that a config describes, over the examples that there are."""

    def __init__(
        self,
        chosen: Mapping[str, Any],
        *,
        seed: int,
        batch_size: int,
        count: int,
        labels: Callable[[], np.ndarray],
    ):
        """Look up the sampler and try it.

        Args:
            chosen: `name`, and keyword arguments under the names of the samplers.
            seed, batch_size: of the run.
            count: number of examples.
            labels: returns the class of each; called only by samplers that need it.

        Raises:
            UserError: for an unknown sampler or a batch that it cannot fill.
        """
        self.name = chosen["name"]
        self._function = pick(SAMPLERS, self.name, "data.train.sampler.name")
        self._keywords = dict(chosen.get(self.name, {}))
        check_keywords(self._function, self._keywords, f"sampler '{self.name}'")
        self._members: list[np.ndarray] = []
        if self.name != "shuffle":
            numbers = labels()
            order = np.argsort(numbers, kind="stable")
            starts = np.flatnonzero(np.diff(numbers[order])) + 1
            self._members = np.split(order, starts)
        self._seed, self._size, self._count = seed, batch_size, count
        self._recent: dict[int, np.ndarray] = {}
        self.batch(0)

    def batch(self, step: int) -> np.ndarray:
        """Return the indices of the whole of batch `step`: [b], or for pairs [b, 2]."""
        found = self._recent.get(step)
        if found is None:
            found = self._function(
                self._seed, step, self._size, self._members, self._count, **self._keywords
            )
            if len(self._recent) >= REMEMBERED:
                self._recent = {}
            self._recent[step] = found
        return found
