"""The episodes of few-shot recognition: which rows are given and which are asked.

Shapes: an episode is (support [ways, shots], query [ways, queries]) of row numbers, a line a
class. `EPISODES` names the two protocols; each looks through the data once and returns a function
of a generator and the episode's number.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Integer

from cnnlab.errors import UserError

Episode = tuple[Integer[np.ndarray, "w s"], Integer[np.ndarray, "w q"]]
Draw = Callable[[np.random.Generator, int], Episode]


def independent(
    labels: Integer[np.ndarray, "n"],
    groups: Integer[np.ndarray, "n"],
    drawers: Integer[np.ndarray, "n"] | None,
    ways: int,
    shots: int,
    queries: int,
) -> Draw:
    """Return episodes whose group, classes and examples are drawn anew each time.

    Raises:
        UserError: no group has enough classes with enough examples.
    """

    def enough(rows: np.ndarray) -> bool:
        # The queries may use up the drawers with the most examples.
        counts = np.ones(len(rows), int)
        if drawers is not None:
            counts = np.sort(np.unique(drawers[rows], return_counts=True)[1])[::-1]
        return len(rows) >= shots + queries and int(counts[queries:].sum()) >= shots

    classes = _classes(labels, groups)
    needed = f"{shots + queries} examples" + (
        " by different drawers" if drawers is not None else ""
    )
    pools = [[rows for rows in members if enough(rows)] for members in classes]
    _check([len(pool) for pool in pools], ways, needed)
    pools = [pool for pool in pools if len(pool) >= ways]

    def draw(rng: np.random.Generator, number: int) -> Episode:
        pool = pools[rng.integers(len(pools))]
        support, asked = [], []
        for chosen in rng.choice(len(pool), ways, replace=False):
            rows = rng.permutation(pool[chosen])
            own, rest = rows[:queries], rows[queries:]
            if drawers is not None:
                rest = rest[~np.isin(drawers[rest], drawers[own])]
            asked.append(own)
            support.append(rest[:shots])
        return np.array(support), np.array(asked)

    return draw


def koch(
    labels: Integer[np.ndarray, "n"],
    groups: Integer[np.ndarray, "n"],
    drawers: Integer[np.ndarray, "n"] | None,
    ways: int,
    shots: int,
    queries: int,
) -> Draw:
    """Return episodes of two drawers each, one for the support and one for the queries.

    Raises:
        UserError: the data name no drawers, shots or queries are not 1, or in some group no two
            drawers have enough classes in common.
    """
    if drawers is None or shots != 1 or queries != 1:
        raise UserError("few_shot's protocol 'koch' needs a key for the drawer, 1 shot and 1 query")
    tables = []
    for members in _classes(labels, groups):
        who = np.unique(drawers[np.concatenate(members)])
        table = np.full((len(who), len(members)), -1)
        for column, rows in enumerate(members):
            table[np.searchsorted(who, drawers[rows]), column] = rows
        tables.append(table)
    common = [_common(table) for table in tables]
    _check([int(c.max(initial=0)) for c in common], ways, "two drawers in common")
    usable = [
        (table, np.argwhere(both >= ways))
        for table, both in zip(tables, common, strict=True)
        if both.max(initial=0) >= ways
    ]

    def draw(rng: np.random.Generator, number: int) -> Episode:
        table, choices = usable[number % len(usable)]
        first, second = choices[rng.integers(len(choices))]
        columns = np.flatnonzero((table[first] >= 0) & (table[second] >= 0))
        columns = rng.choice(columns, ways, replace=False)
        return table[second, columns][:, None], table[first, columns][:, None]

    return draw


EPISODES: dict[str, Callable[..., Draw]] = {"episodes": independent, "koch": koch}


def _classes(labels: np.ndarray, groups: np.ndarray) -> list[list[np.ndarray]]:
    """Return the rows of each class of each group."""
    found = []
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        order = inside[np.argsort(labels[inside], kind="stable")]
        found.append(np.split(order, np.flatnonzero(np.diff(labels[order])) + 1))
    return found


def _common(table: np.ndarray) -> np.ndarray:
    """Return how many classes each two different drawers have both drawn."""
    drawn = (table >= 0).astype(int)
    both = drawn @ drawn.T
    np.fill_diagonal(both, 0)
    return both


def _check(sizes: list[int], ways: int, what: str) -> None:
    if max(sizes) < ways:
        raise UserError(
            f"few_shot cannot draw {ways} ways: at most {max(sizes)} classes of one group have"
            f" {what}; lower ways"
        )
