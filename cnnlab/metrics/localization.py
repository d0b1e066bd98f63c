"""How well boxes find objects whatever their class: proposals, and ILSVRC's localization."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from cnnlab.metrics.metric import mean


def recall(
    overlaps: Iterable[Float[np.ndarray, "_p _g"]], counts: Sequence[int], threshold: float = 0.5
) -> dict[int, float]:
    """Return the share of objects that one of the first N proposals overlaps by `threshold`.

    Args:
        overlaps: of each image, IoU of proposals, best first, and objects.
        counts: the numbers N.
        threshold: IoU from which an object is found.
    """
    overlaps = list(overlaps)
    return {n: mean(np.concatenate([_best(x, n) >= threshold for x in overlaps])) for n in counts}


def mean_best_overlap(
    overlaps: Iterable[Float[np.ndarray, "_p _g"]],
    classes: Iterable[Int[np.ndarray, "_g"]],
    count: int | None = None,
) -> dict[str, float]:
    """Return ABO's mean over classes, `mabo`, and over objects, `best_overlap`.

    Uijlings et al. 2013 (selective search), section 4.1: each object has the overlap of its best
    proposal.

    Args:
        overlaps: as of `recall`.
        classes: of the objects of each image.
        count: the first so many proposals; None for all.
    """
    best = np.concatenate([_best(x, count) for x in overlaps])
    labels = np.concatenate(list(classes))
    each = [mean(best[labels == c]) for c in np.unique(labels)]
    return {"mabo": mean(np.array(each)), "best_overlap": mean(best)}


def localization_error(
    overlap: Float[np.ndarray, "n k g"],
    guessed: Int[np.ndarray, "n k"],
    label: Int[np.ndarray, "n"],
    valid: Bool[np.ndarray, "n g"],
    threshold: float = 0.5,
) -> float:
    """Return the share of images without a guess of the right class on one of its objects.

    ILSVRC (Russakovsky et al. 2015, section 4.2): each image has one class and some objects of it.
    An image without objects is wrong.

    Args:
        overlap: IoU of each guess with each object.
        guessed: classes of the guesses; ILSVRC allows five.
        label: of the images.
        valid: which objects are there.
        threshold: IoU from which an object is found.
    """
    found = ((overlap >= threshold) & valid[:, None]).any(axis=2)
    right = (found & (guessed == label[:, None])).any(axis=1)
    return mean(~right)


def _best(overlap: Float[np.ndarray, "p g"], count: int | None) -> Float[np.ndarray, "g"]:
    return overlap[:count].max(axis=0, initial=0.0)
