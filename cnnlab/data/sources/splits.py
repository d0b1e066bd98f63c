"""Split expressions, for every source alike: `train[:80%]`, `train[1000:]`, `train+validation`.

The arithmetic is that of TensorFlow Datasets (its guide: https://www.tensorflow.org/datasets/splits),
so an expression selects the same examples whether a set comes from there or from a folder.
"""

import re
from collections.abc import Mapping, Sequence

from cnnlab.errors import UserError

# Letters of an expression; TFDS reads its parts by recursion.
LONGEST = 1000


class UnknownSplit(UserError):
    """An expression names a split that a set does not have.

    Attributes:
        there: names of those that it has.
    """

    def __init__(self, message: str, there: Sequence[str]):
        super().__init__(message)
        self.there = tuple(there)

    def remedy(self, wanted: Mapping[str, str]) -> str:
        """Return how to cut from train what `data.eval.splits` wants and the set lacks."""
        missing = [name for name, s in wanted.items() if re.split(r"\W", s)[0] not in self.there]
        if "train" not in self.there or not missing:
            return ""
        ends = [80 + 20 * i // len(missing) for i in range(1, len(missing))]
        parts = zip(missing, [80, *ends], [*(f"{end}%" for end in ends), ""], strict=True)
        flags = [f"--config.data.eval.splits.{name}='train[{a}%:{b}]'" for name, a, b in parts]
        return f"; cut from train: --config.data.train.split='train[:80%]' {' '.join(flags)}"


def resolve(
    split: str, shards: Mapping[str, Sequence[int]], *, name: str = ""
) -> tuple[tuple[str, int, int], ...]:
    """Return the ranges `(split, start, stop)` that an expression selects, in order.

    Args:
        split: the expression.
        shards: for each split that there is, the number of examples in each of its files.
        name: what to call the data set in an error.

    Raises:
        UserError: if the expression cannot be read, names an unknown split (the message lists
            those there are), reaches beyond a split or selects nothing.
    """
    import tensorflow_datasets as tfds

    if len(split) > LONGEST:
        raise UserError(
            f"the split '{split[:40]}...' has {len(split):,} letters: at most {LONGEST}"
        )
    lengths = {key: sum(counts) for key, counts in shards.items()}
    sizes = ", ".join(f"{key} ({length:,})" for key, length in lengths.items())
    there_are = f"the splits of '{name}' are: {sizes}"
    try:
        instruction = tfds.core.ReadInstruction.from_spec(split)
    # The parser raises ValueError, NotImplementedError or, on odd input, what the regexes do.
    except Exception as error:
        raise UserError(
            f"cannot read split '{split}': write train, train[:80%], train[1000:] or "
            f"train+validation; {there_are}"
        ) from error
    infos = {
        key: tfds.core.SplitInfo(name=key, shard_lengths=list(counts), num_bytes=0)
        for key, counts in shards.items()
    }
    try:
        parts = instruction.to_absolute(infos)
    except ValueError as error:
        what = str(error).split(". Should be")[0].rstrip(".")
        message = f"split '{split}': {what}; {there_are}"
        if what.startswith("Unknown split"):
            raise UnknownSplit(message, tuple(lengths)) from error
        raise UserError(message) from error
    ranges = []
    for part in parts:
        length = lengths[part.splitname]
        start, stop = part.from_ or 0, length if part.to is None else part.to
        if stop > start:
            ranges.append((part.splitname, start, stop))
    if not ranges:
        raise UserError(f"split '{split}' selects no example; {there_are}")
    return tuple(ranges)
