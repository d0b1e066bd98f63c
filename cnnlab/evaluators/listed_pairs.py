"""Verification on the pairs that a file lists, as Labeled Faces in the Wild is measured.

Huang et al. 2007, "View 2": ten folds of pairs; the threshold of each is chosen on the others. The
split has to be a folder of images whose files the list names (`cnnlab.data.lfw`).
Shapes: query [n, d] -> mean accuracy, its standard error and a curve.
"""

from collections.abc import Callable

from cnnlab.data.lfw import read_pairs
from cnnlab.errors import UserError
from cnnlab.evaluators.embedded import Embedded, Score
from cnnlab.evaluators.verification import ten_fold


def listed_pairs(
    query: Embedded,
    *,
    bank: Embedded,
    tune: Embedded,
    seed: int,
    similarity: Callable | None,
    file: str = "",
    distance: str = "cosine",
) -> Score:
    """Return what `ten_fold` returns for the pairs in a file.

    Args:
        query: the split whose rows the file names; it knows its source.
        bank, tune, seed: not used.
        similarity: learned similarity, or None.
        file: of the pairs, such as LFW's `pairs.txt`.
        distance: "cosine" or "euclidean".

    Raises:
        UserError: no file is named, its split is no folder of images, or as `read_pairs`.
    """
    if not file:
        raise UserError("evaluators.listed_pairs.file: name the list, such as LFW's pairs.txt")
    if not hasattr(query.source, "files"):
        raise UserError(f"{file} names images by file: its split needs a source folder:PATH")
    pairs = read_pairs(file, query.source)
    return ten_fold(query.features, *pairs, similarity=similarity, distance=distance)
