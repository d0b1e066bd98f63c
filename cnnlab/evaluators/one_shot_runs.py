"""One-shot recognition on trials that are fixed: the 20 runs of Omniglot (Lake et al. 2015).

In each run 20 drawings are recognized by one example of each of 20 characters of their alphabet;
another person drew the examples. The split is `runs` of `omniglot:/path`. Published errors, in %:
people 4.5, BPL 3.3, a siamese network 8.0, the modified Hausdorff distance 38.8.
Shapes: query [n, d] -> mean accuracy over runs.
"""

from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Integer

from cnnlab.data.argument_types import PositiveWhole
from cnnlab.data.sources.identity import unwrap
from cnnlab.data.sources.omniglot_runs import ASKED, GIVEN
from cnnlab.errors import UserError
from cnnlab.evaluators.features import EvalResult, Features
from cnnlab.evaluators.similarities import matrix
from cnnlab.geometry.hausdorff import centered, modified_hausdorff

HAUSDORFF = "modified_hausdorff"
# Ink is darker, of 255.
PAPER = 128


def one_shot_runs(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    distance: Literal["cosine", "euclidean", "modified_hausdorff"] = "cosine",
    runs: PositiveWhole = 20,
) -> EvalResult:
    """Return the mean `accuracy` of the runs, the `error` and `ci95`, half the 95 % interval.

    A drawing goes to the most similar example; examples equally similar share the point.

    Args:
        query: the split of the runs; it knows its source.
        train, val, seed: not used.
        similarity: learned similarity, or None.
        distance: "cosine", "euclidean" or "modified_hausdorff": between the ink of the drawings,
            without the network.
        runs: how many of them, from the first.

    Raises:
        UserError: the split has no runs, or none that is whole.
    """
    source: Any = None
    rows = np.arange(0)
    if query.source is not None:
        source, rows = unwrap(query.source)
    rows = rows if query.index is None else rows[query.index]
    if not hasattr(source, "files") or len(rows) != len(query):
        raise UserError("one_shot_runs needs a split of runs: 'runs' of omniglot:PATH")
    files = source.files()
    places = [PurePath(files[row]).parts for row in rows]
    roles = np.array([place[-2] if len(place) > 2 else "" for place in places])
    if not np.isin(roles, (GIVEN, ASKED)).all():
        raise UserError(
            f"one_shot_runs needs a split of runs, 'runs' of omniglot:PATH: {files[rows[0]]} is "
            "part of none"
        )
    own = np.array([place[-3] for place in places])
    shares = []
    for run in np.unique(own)[:runs]:
        given = np.flatnonzero((own == run) & (roles == GIVEN))
        asked = np.flatnonzero((own == run) & (roles == ASKED))
        # What belongs to a corrupt image cannot be judged.
        asked = asked[np.isin(query.label[asked], query.label[given])]
        if not len(asked):
            continue
        if distance == HAUSDORFF:
            scores = _of_ink(source, rows[asked], rows[given])
        else:
            a, b = query.features[asked], query.features[given]
            scores = matrix(a, b, distance=distance, similarity=similarity)
        best = scores == scores.max(axis=1, keepdims=True)
        right = query.label[asked][:, None] == query.label[given]
        shares.append(float(((best & right).sum(axis=1) / best.sum(axis=1)).mean()))
    if not shares:
        raise UserError(
            f"one_shot_runs: none of {runs} runs has an example and a drawing to recognize"
        )
    accuracy = float(np.mean(shares))
    spread = float(np.std(shares, ddof=1)) if len(shares) > 1 else 0.0
    how: str = "learned similarity" if similarity is not None else distance
    how = "modified Hausdorff distance, no network" if distance == HAUSDORFF else how
    return EvalResult(
        setting=f"{len(shares)} runs, {how}",
        values={
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "ci95": 1.96 * spread / len(shares) ** 0.5,
        },
    )


def _of_ink(
    source: Any, asked: Integer[np.ndarray, "n"], given: Integer[np.ndarray, "m"]
) -> Float[np.ndarray, "n m"]:
    """Return minus the distance of every pair of drawings."""
    points = [
        [centered(source[int(row)]["image"][..., 0] < PAPER) for row in rows]
        for rows in (asked, given)
    ]
    return np.array([[-modified_hausdorff(a, b) for b in points[1]] for a in points[0]])
