"""Figures of an evaluated classifier: its confusion matrix and its most confident mistakes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.launch import distributed
from cnnlab.plots import run_figures

# Images on the sheet of misclassified examples.
MISTAKES = 40
# Letters of a class's name above one of them.
CAPTION = 12


def draw(
    evaluation: Any, source: Any, folder: Path, target: str, activation: Callable[[Any], Any]
) -> None:
    """Draw what an `Evaluation` of a classifier has; a figure that fails costs itself alone.

    Args:
        evaluation: with the metric `confusion`; the mistakes need outputs `logits` and the target.
        source: the split.
        folder: for confusion_matrix.png and misclassified.png.
        target: key of the true classes.
        activation: logits -> probabilities.
    """
    counts = evaluation.metrics["confusion"].compute()
    names = source.info.output_names(len(counts))
    path = folder / "confusion_matrix.png"
    with distributed.optional(str(path)):
        run_figures.confusion_matrix(counts, names, path)
    # Sound has nothing to draw.
    if "image" in source.keys and "logits" in evaluation.outputs:
        path = folder / "misclassified.png"
        with distributed.optional(str(path)):
            scores = np.asarray(activation(evaluation.outputs["logits"]))
            mistakes(scores, evaluation.outputs[target], evaluation.outputs, source, names, path)


def mistakes(
    scores: np.ndarray,
    true: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    source: Any,
    names: Sequence[str],
    path: Path,
) -> None:
    """Draw the most confident mistakes with their images; none: no file.

    Args:
        scores: probabilities [n, c].
        true: classes [n].
        outputs: with `index`, the position of each example in the source.
        source: of the images.
        names: of the classes.
        path: of the PNG.
    """
    predicted = scores.argmax(axis=-1)
    wrong = np.flatnonzero(predicted != true)
    path.unlink(missing_ok=True)
    if not len(wrong):
        return
    confidence = scores[wrong, predicted[wrong]]
    shown = [run_figures.short(name, CAPTION) for name in names]
    worst = wrong[np.argsort(-confidence, kind="stable")][:MISTAKES]
    run_figures.image_sheet(
        [source[int(i)]["image"] for i in outputs["index"][worst]],
        [f"{shown[true[i]]} → {shown[predicted[i]]} {scores[i, predicted[i]]:.0%}" for i in worst],
        path,
        title=f"{len(wrong)} of {len(true)} wrong: true → predicted, most confident first",
    )
