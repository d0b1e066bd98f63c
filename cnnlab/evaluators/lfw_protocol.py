"""Verification on the pairs that a file lists, as Labeled Faces in the Wild is measured.

Huang et al. 2007, "View 2": ten folds of pairs; the threshold of each is chosen on the others. The
split has to be a folder of images whose files the list names (`cnnlab.data.sources.lfw`).
Shapes: query [n, d] -> mean accuracy, its standard error and a curve.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from cnnlab.data.sources.identity import unwrap
from cnnlab.data.sources.lfw import read_pairs
from cnnlab.errors import UserError
from cnnlab.evaluators.features import EvalResult, Features
from cnnlab.evaluators.similarities import Distance
from cnnlab.evaluators.verification import ten_fold


def listed_pairs(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    file: str = "",
    distance: Distance = "cosine",
) -> EvalResult:
    """Return what `ten_fold` returns for the pairs in a file.

    Args:
        query: the split whose rows the file names; it knows its source.
        train, val, seed: not used.
        similarity: learned similarity, or None.
        file: of the pairs, such as LFW's `pairs.txt`.
        distance: "cosine" or "euclidean".

    Raises:
        UserError: no file is named, its split is no folder of images, or as `read_pairs`.
    """
    if not file:
        raise UserError(
            "representation.evaluators.listed_pairs.file: name the list, such as LFW's pairs.txt"
        )
    if query.source is None or not hasattr(unwrap(query.source)[0], "files"):
        raise UserError(f"{file} names images by file: its split needs a source folder:PATH")
    source, indices = unwrap(query.source)
    files = source.files()
    pairs = read_pairs(file, [files[i] for i in indices])
    # What a corrupt image is part of cannot be judged.
    row = np.full(len(indices), -1)
    row[slice(None) if query.index is None else query.index] = np.arange(len(query))
    first, second = row[pairs.first], row[pairs.second]
    kept = (first >= 0) & (second >= 0)
    score = ten_fold(
        query.features,
        first[kept],
        second[kept],
        pairs.same[kept],
        pairs.fold[kept],
        similarity=similarity,
        distance=distance,
    )
    lost = int((~kept).sum())
    if not lost:
        return score
    return replace(score, setting=f"{score.setting}, {lost} with a corrupt image left out")
