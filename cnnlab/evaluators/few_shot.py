"""N-way K-shot: classes never seen before, recognized by K examples of each.

Episodes: Vinyals et al. 2016, section 4.1; the nearest class mean: Snell, Swersky, Zemel 2017
(prototypical networks), equation 2. Within alphabets, by two drawers: Koch, Zemel, Salakhutdinov
2015, section 4.3. Shapes: query [n, d] -> share of the trials that are right.

`protocol="koch"`: an episode takes one alphabet, all in turn, N of its characters and two of its
drawers; each character of the one drawer is compared with the N of the other. The paper's 400
trials are 20 episodes of 20 ways on ten alphabets.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float

from cnnlab.data.argument_types import PositiveWhole, TwoOrMore
from cnnlab.errors import UserError
from cnnlab.evaluators.episodes import EPISODES, Episode
from cnnlab.evaluators.features import EvalResult, Features
from cnnlab.evaluators.similarities import Distance, matrix, unit
from cnnlab.utils.registry import pick


def few_shot(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    ways: TwoOrMore = 20,
    shots: PositiveWhole = 1,
    queries: PositiveWhole = 1,
    episodes: TwoOrMore = 400,
    within: str = "",
    drawer: str = "drawer",
    protocol: Literal["episodes", "koch"] = "episodes",
    distance: Distance = "cosine",
) -> EvalResult:
    """Return `accuracy` over all trials, and `ci95`: half its 95 % interval over episodes.

    A query goes to the class whose mean is nearest, or under a learned similarity to the class
    that it is most similar to on average; classes equally near share the point.

    Args:
        query: the split whose classes are distinguished; support and queries both come from it.
        train, val: not used.
        seed: of the episodes.
        similarity: learned similarity, or None.
        ways: N, classes of an episode.
        shots: K, examples of each class that are given.
        queries: examples of each class that are to be recognized.
        episodes: how many; the interval takes them as independent.
        within: key, as "alphabet", that the classes of an episode have in common; "": none.
        drawer: key of who made an example. Where the data have it, support and queries of a
            class are never by the same one; "" ignores it.
        protocol: "episodes" or "koch".
        distance: "cosine" (means of features of length one) or "euclidean".

    Raises:
        UserError: there are not enough classes or examples, or a key is missing.
    """
    least = {"ways": (ways, 2), "shots": (shots, 1), "queries": (queries, 1)}
    for name, (value, needed) in {**least, "episodes": (episodes, 2)}.items():
        if value < needed:
            raise UserError(f"few_shot needs {needed} {name} or more: {name}={value}")
    draw = pick(EPISODES, protocol, "protocol of few_shot")
    drawers = query.keys.get(drawer)
    groups = query.key(within) if within else np.zeros(len(query), np.int64)
    drawn = draw(query.label, groups, drawers, ways, shots, queries)
    rng = np.random.default_rng(seed)
    shares = np.array(
        [
            _right(query.features, drawn(rng, number), similarity, distance)
            for number in range(episodes)
        ]
    )
    how = "learned similarity" if similarity is not None else distance
    return EvalResult(
        setting=f"{ways}-way {shots}-shot, {how}, {episodes} episodes"
        + (f", within {within}" if within else "")
        + (", by different drawers" if drawers is not None else "")
        + (f", {protocol}" if protocol != "episodes" else ""),
        values={
            "accuracy": float(shares.mean()),
            "ci95": float(1.96 * shares.std(ddof=1) / episodes**0.5),
        },
    )


def _right(
    features: Float[np.ndarray, "n d"],
    episode: Episode,
    similarity: Callable | None,
    distance: str,
) -> float:
    """Return the share of an episode's queries that are classified correctly."""
    support, query = episode
    ways, shots = support.shape
    asked = features[query.reshape(-1)]
    given = features[support.reshape(-1)]
    if similarity is None:
        given = unit(given) if distance == "cosine" else given.astype(np.float64)
        given = given.reshape(ways, shots, -1).mean(axis=1)
        scores = matrix(asked, given, distance=distance, similarity=None)
    else:
        scores = matrix(asked, given, distance=distance, similarity=similarity)
        scores = scores.reshape(len(asked), ways, shots).mean(axis=2)
    truth = np.repeat(np.arange(ways), query.shape[1])
    best = scores == scores.max(axis=1, keepdims=True)
    return float((best[np.arange(len(truth)), truth] / best.sum(axis=1)).mean())
