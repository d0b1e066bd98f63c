"""Find the network in a checkpoint, whatever prefix and other entries a trainer added.

Lightning has `state_dict.model.conv1.weight`, torchvision's training `model.conv1.weight` and
`model_ema.module.conv1.weight`, MoCo `state_dict.module.encoder_q.conv1.weight`. What comes before
the network's own names, the prefix, is the one under which most of its arrays lie.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.errors import UserError
from cnnlab.utils.console import LOG

# Prefixes of moving averages of the weights, and of teachers, which are such.
AVERAGE = re.compile(
    r"(^|[._])(ema|averaged?|avg|swa|polyak|shadow|teacher|target|momentum|encoder_k|key)(?=[._])"
)
LISTED = 5

Shape = tuple[int, ...]
# Arrays in their shape, and arrays of that name, that are there; others in their place, negative.
Score = tuple[int, int, int]


class Match(NamedTuple):
    """The arrays of a network in a checkpoint.

    Attributes:
        arrays: by the network's names.
        prefix: what their names begin with in the file.
        score: how well they fit; the larger the better.
        alike: further prefixes of the file under which as much fits.
    """

    arrays: dict[str, np.ndarray]
    prefix: str
    score: Score
    alike: tuple[str, ...]


def match(
    arrays: Mapping[str, np.ndarray],
    shapes: Mapping[str, Shape],
    *,
    ema: bool | None = False,
    prefix: str | None = None,
) -> Match:
    """Return the arrays under the prefix by which most of a network's are found.

    Args:
        arrays: of the file, by their whole names.
        shapes: of the network's arrays, by its own names.
        ema: True for those under the prefix of a moving average, False for the others, if there
            are others; None for a moving average if there is one.
        prefix: the one to take; None to find it.

    Raises:
        UserError: no moving average, where one is asked for.
    """
    scores = _scores(arrays, shapes)
    if prefix is not None:
        scores = {prefix: scores.get(prefix, (0, 0, 0))}
    most = max((named for _, named, _ in scores.values()), default=0)
    # A lone array of the same name, another head's or a unit's `conv1`, is no network.
    scores = {p: score for p, score in scores.items() if 2 * score[1] >= most}
    averages = [p for p in scores if _is_average(p, arrays)]
    if ema and most and prefix is None and not averages:
        places = ", ".join(repr(p) for p in scores)
        raise UserError(f"no moving average of the weights is there, only what lies under {places}")
    wanted = averages if ema is not False else [p for p in scores if p not in averages]
    # The first of the best; `max` keeps the order of the file.
    chosen = max(wanted or scores or [prefix or ""], key=lambda p: scores.get(p, (0, 0, 0)))
    score = scores.get(chosen, (0, 0, 0))
    return Match(
        {name.removeprefix(chosen): x for name, x in arrays.items() if name.startswith(chosen)},
        chosen,
        score,
        tuple(p for p in scores if p != chosen and scores[p][:2] >= score[:2]),
    )


def report(path: str | Path, found: Match, arrays: Mapping[str, np.ndarray]) -> None:
    """Log what was taken of a file, and what was not."""
    average = _is_average(found.prefix, arrays)
    averages = [p for p in found.alike if _is_average(p, arrays)]
    others = [p for p in found.alike if p not in averages]
    if others and not average:
        LOG.warning(
            f"{path}: the weights under '{found.prefix}' are taken, and those under '{others[0]}' "
            f"fit as well: prefix='{others[0]}' takes them"
        )
    if not found.prefix and not averages:
        return
    lines = [f"{path}: the weights under '{found.prefix}'"]
    if averages and not average:
        lines.append(f"its moving average under '{averages[0]}' is taken with ema=True")
    rest = [name for name in arrays if not name.startswith((found.prefix, *found.alike))]
    if rest:
        more = f" and {len(rest) - LISTED} more" if len(rest) > LISTED else ""
        lines.append(f"not read: {', '.join(rest[:LISTED])}{more}")
    LOG.info("; ".join(lines))


def _scores(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> dict[str, Score]:
    named: Counter[str] = Counter()
    shaped: Counter[str] = Counter()
    for name, array in arrays.items():
        place = 0
        while True:
            own = name[place:]
            if own in shapes:
                named[name[:place]] += 1
                shaped[name[:place]] += array.shape == shapes[own]
            if not (place := name.find(".", place) + 1):
                break
    return {
        p: (shaped[p], named[p], named[p] - sum(name.startswith(p) for name in arrays))
        for p in named
    }


def _is_average(prefix: str, arrays: Mapping[str, np.ndarray]) -> bool:
    # PyTorch's AveragedModel keeps the module beside the number of updates.
    counter = f"{prefix.removesuffix('module.')}n_averaged"
    return bool(AVERAGE.search(prefix)) or (bool(prefix) and counter in arrays)
