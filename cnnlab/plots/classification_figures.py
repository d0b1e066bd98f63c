"""Figures of an evaluated classifier: its confusion matrix and its most confident mistakes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnnlab.launch import distributed
from cnnlab.plots import run_figures, style

# Images on the sheet of misclassified examples.
MISTAKES = 40


def draw(
    evaluation: Any, source: Any, folder: Path, target: str, activation: Callable[[Any], Any]
) -> None:
    """Draw what an `Evaluation` of a classifier has; a figure that fails costs itself alone.

    Args:
        evaluation: the matrix needs its metric `confusion`, which many classes have none of, the
            mistakes its outputs `logits` and the target.
        source: the split.
        folder: for confusion_matrix.png and misclassified.png.
        target: key of the true classes.
        activation: logits -> probabilities.
    """
    confusion, logits = evaluation.metrics.get("confusion"), evaluation.outputs.get("logits")
    classes = logits.shape[-1] if confusion is None else len(confusion.compute())
    names = source.info.output_names(classes)
    where = f"{source.info.name}, {source.info.split}"
    if evaluation.of:
        # Of few classes and few mistakes a figure is narrow: the run has a line of its own.
        where = f"{style.short(evaluation.of, 48)}\n{where}"
    path = folder / "confusion_matrix.png"
    with distributed.optional(str(path)):
        path.unlink(missing_ok=True)
        if confusion is not None:
            counts = confusion.compute()
            style.save(run_figures.confusion_matrix(counts, names, title=where), path)
    # Sound has nothing to draw.
    if "image" in source.keys and logits is not None:
        path = folder / "misclassified.png"
        with distributed.optional(str(path)):
            scores = np.asarray(activation(logits))
            path.unlink(missing_ok=True)
            given = scores, evaluation.outputs[target], evaluation.outputs, source, names
            figure = mistakes(*given, where=f"{where}: ")
            if figure is not None:
                style.save(figure, path)


def mistakes(
    scores: np.ndarray,
    true: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    source: Any,
    names: Sequence[str],
    where: str = "",
) -> Figure | None:
    """Return the most confident mistakes with their images; None where there is none.

    Args:
        scores: probabilities [n, c].
        true: classes [n].
        outputs: with `index`, the position of each example in the source.
        source: of the images.
        names: of the classes.
        where: what the title begins with.
    """
    predicted = scores.argmax(axis=-1)
    wrong = np.flatnonzero(predicted != true)
    if not len(wrong):
        return None
    confidence = scores[wrong, predicted[wrong]]
    shown = [style.short(name, 200) for name in names]
    worst = wrong[np.argsort(-confidence, kind="stable")][:MISTAKES]
    return run_figures.image_sheet(
        [source[int(i)]["image"] for i in outputs["index"][worst]],
        [
            f"{shown[true[i]]}\n→ {shown[predicted[i]]}\n{scores[i, predicted[i]]:.0%}"
            for i in worst
        ],
        title=f"{where}{len(wrong):,} of {len(true):,} wrong: "
        "true → predicted, most confident first",
    )
