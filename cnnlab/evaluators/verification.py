"""Verification: do two examples show the same class? The receiver operating characteristic.

Huang et al. 2007 (Labeled Faces in the Wild): accuracy over ten folds of given pairs. AUC is the
probability that a same pair is more alike than a different one, ties counting half (Mann &
Whitney 1947). FAR: share of different pairs that are accepted; TAR: of same pairs.
Shapes: query [n, d] -> shares and a curve.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Integer

from cnnlab.data.argument_types import Probabilities, TwoOrMore
from cnnlab.errors import UserError
from cnnlab.evaluators.features import EvalResult, Features, without
from cnnlab.evaluators.roc import accuracy_at, best_threshold, roc, summary
from cnnlab.evaluators.similarities import Distance, matrix, paired
from cnnlab.evaluators.verification_pairs import draw_pairs, has_pairs


def verification(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    pairs: TwoOrMore = 50_000,
    distance: Distance = "cosine",
    fars: Probabilities = (1e-1, 1e-2, 1e-3),
) -> EvalResult:
    """Return `auc`, `eer`, `accuracy`, `tar@far=...`, and the curve "roc".

    The accuracy is the mean of the shares of same and of different pairs that are right, as
    if there were as many of both.

    Args:
        query: the split whose rows are compared with each other.
        train: in place of `val` where that has no pairs but of the query. Where neither has, the
            accuracy is that of the best threshold, and the setting says so.
        val: where the threshold of the accuracy is chosen, without the rows of the query.
        seed: of the pairs that are drawn.
        similarity: learned similarity, or None.
        pairs: all pairs of a split are compared if there are at most so many; else half as many
            same and half as many different ones are drawn.
        distance: "cosine" or "euclidean".
        fars: rates of false accepts; left out where there are too few different pairs for one.

    Raises:
        UserError: a split has no pair of one class, or none of two classes.
    """
    where, chosen = query, "this split itself"
    for split, name in ((train, "the training split"), (val, "the tuning split")):
        rest = without(split, query)
        if rest is split or (rest is not None and has_pairs(rest.label)):
            where, chosen = rest, name
    tuning = _pair_scores(where, pairs, seed, similarity, distance)
    threshold = best_threshold(*tuning)
    scores, same = _pair_scores(query, pairs, seed + 1, similarity, distance)
    curve = roc(scores, same)
    values = summary(curve, fars, int((~same).sum()))
    values["accuracy"] = accuracy_at(threshold, scores, same)
    how = "learned similarity" if similarity is not None else distance
    return EvalResult(
        setting=f"{how}, {same.sum()} same and {(~same).sum()} different pairs,"
        f" threshold by {chosen}",
        values=values,
        curves={"roc": curve},
    )


def ten_fold(
    features: Float[np.ndarray, "n d"],
    first: Integer[np.ndarray, "p"],
    second: Integer[np.ndarray, "p"],
    same: Bool[np.ndarray, "p"],
    fold: Integer[np.ndarray, "p"],
    *,
    similarity: Callable | None = None,
    distance: str = "cosine",
) -> EvalResult:
    """Return LFW's result: mean `accuracy` over the folds and its standard error.

    The threshold of each fold is chosen on the others. The standard error is the deviation
    between folds (of the sample) over the root of their number.

    Args:
        features: one row an image.
        first, second: rows of the pairs.
        same: whether both show the same person.
        fold: number of the part that a pair belongs to; any number of parts from two on.
        similarity: learned similarity, or None.
        distance: "cosine" or "euclidean".

    Raises:
        UserError: there are fewer than two folds, a pair names a row that is not there, or same
            or different pairs are missing.
    """
    folds = np.unique(fold)
    if len(folds) < 2:
        raise UserError(f"verification over folds needs two folds or more: {len(folds)}")
    rows = np.concatenate([first, second])
    if rows.min() < 0 or rows.max() >= len(features):
        raise UserError(f"pairs name rows {rows.min()} to {rows.max()} of {len(features)}")
    scores = paired(features, first, second, distance=distance, similarity=similarity)
    accuracies = []
    for number in folds:
        test = fold == number
        threshold = best_threshold(scores[~test], same[~test])
        accuracies.append(float(((scores[test] > threshold) == same[test]).mean()))
    curve = roc(scores, same)
    values = summary(curve, (), int((~same).sum()))
    values["accuracy"] = float(np.mean(accuracies))
    values["standard_error"] = float(np.std(accuracies, ddof=1) / len(folds) ** 0.5)
    how = "learned similarity" if similarity is not None else distance
    return EvalResult(
        setting=f"{how}, {len(folds)} folds, {len(scores)} given pairs",
        values=values,
        curves={"roc": curve},
    )


def _pair_scores(
    split: Features, pairs: int, seed: int, similarity: Callable | None, distance: str
) -> tuple[Float[np.ndarray, "p"], Bool[np.ndarray, "p"]]:
    first, second = draw_pairs(split.label, pairs, seed)
    x = split.features
    if len(first) == len(x) * (len(x) - 1) // 2:
        scores = matrix(x, x, distance=distance, similarity=similarity)[first, second]
    else:
        scores = paired(x, first, second, distance=distance, similarity=similarity)
    return scores, split.label[first] == split.label[second]
