"""Metrics as people read them: shares in percent, four digits of everything else."""

import re
from collections.abc import Mapping

from cnnlab.metrics.direction import words

# Numbers between 0 and 1 that count a part of a whole.
WORDS = """
    accuracy acc top match precision recall sensitivity specificity f1 fscore dice jaccard iou miou
    overlap ap map ar mabo auc auroc auprc tar tpr tnr eer far frr fpr fnr wer cer ci active
"""
SHARES = frozenset(WORDS.split())
# Which objects or classes a share is of, behind its name: AP_small.
OF = ("small", "medium", "large", "predicted")
# Errors of a sequence can be more than its words.
UNBOUNDED = ("wer", "cer")


def is_share(name: str) -> bool:
    """Return whether a metric is a share of a whole, as the last word of its name says.

    `validation/verification_tar@far=0.01` is one and so is `knn_accuracy_1`, `embedding_std` none.
    """
    named = (word for word in reversed(words(name)) if not (word.isdigit() or word in OF))
    last = next(named, "")
    return last in SHARES or last.rstrip("0123456789") in SHARES


def format_value(name: str, value: float | None) -> str:
    """Return a metric as text: in percent where it is a share; "" for None.

    What is above 1 is no share, whatever a person has called it: an accuracy in percent, a `top`.
    """
    if value is None:
        return ""
    above = abs(value) > 1.001 and not set(words(name)) & set(UNBOUNDED)
    return f"{value:.2%}" if is_share(name) and not above else f"{value:.4g}"


def format_metrics(values: Mapping[str, float]) -> str:
    """Return the metrics of a record on one line."""
    return "  ".join(
        f"{name.removeprefix('train/')} {format_value(name, value)}"
        for name, value in values.items()
    )


def natural(name: str) -> list[tuple[int, float, str]]:
    """Return a key that sorts `recall@5` before `recall@10`, and 0.01 before 0.1."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(0, float(p), "") if i % 2 else (1, 0.0, p) for i, p in enumerate(parts)]
