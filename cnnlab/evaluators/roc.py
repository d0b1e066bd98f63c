"""The receiver operating characteristic of scores, exact under ties.

Shapes: scores [p] and same [p] -> false accepts [q] and true accepts [q], from (0, 0) to (1, 1),
one point for each threshold at which a different set of pairs is accepted, less those inside a
horizontal or vertical stretch.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from cnnlab.errors import UserError

Curve = tuple[np.ndarray, np.ndarray]


def _counts(
    scores: Float[np.ndarray, "p"], same: Bool[np.ndarray, "p"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct scores, falling, and how many of both kinds are at or above each."""
    if same.all() or not same.any():
        raise UserError("verification needs pairs of the same class and of different classes")
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    return falling[last], np.cumsum(~same[order])[last], np.cumsum(same[order])[last]


def roc(scores: Float[np.ndarray, "p"], same: Bool[np.ndarray, "p"]) -> Curve:
    """Return the shares of different and of same pairs accepted as the threshold falls.

    Raises:
        UserError: all pairs are the same or all are different.
    """
    _, false, true = _counts(scores, same)
    x, y = np.insert(false / false[-1], 0, 0.0), np.insert(true / true[-1], 0, 0.0)
    flat, steep = y[1:] == y[:-1], x[1:] == x[:-1]
    inside = (flat[1:] & flat[:-1]) | (steep[1:] & steep[:-1])
    kept = np.concatenate([[True], ~inside, [True]])
    return x[kept], y[kept]


def area(curve: Curve) -> float:
    """Return the area under the curve by the trapezoidal rule, exact for straight pieces."""
    x, y = curve
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def equal_error_rate(curve: Curve) -> float:
    """Return where as many different pairs are accepted as same ones are rejected.

    Between two points of the curve it is on the straight line that joins them.
    """
    x, y = curve
    excess = x + y - 1
    after = int(np.argmax(excess >= 0))
    step = excess[after] - excess[after - 1]
    part = -excess[after - 1] / step
    return float(x[after - 1] + part * (x[after] - x[after - 1]))


def true_accepts(curve: Curve, far: float) -> float:
    """Return the largest share of same pairs accepted at a threshold with at most `far`."""
    x, y = curve
    return float(y[int(np.searchsorted(x, far, side="right")) - 1])


def summary(curve: Curve, fars: Sequence[float], different: int) -> dict[str, float]:
    """Return `auc`, `eer` and `tar@far=...` for those that `different` pairs can resolve."""
    values = {"auc": area(curve), "eer": equal_error_rate(curve)}
    for far in fars:
        if different * far >= 1:
            values[f"tar@far={far:g}"] = true_accepts(curve, far)
    return values


def best_threshold(scores: Float[np.ndarray, "p"], same: Bool[np.ndarray, "p"]) -> float:
    """Return the threshold above which pairs are taken for the same with the best accuracy.

    The accuracy is the mean of both kinds' shares. The threshold lies in the middle between the
    two scores that it separates, the highest of those that do equally well.
    """
    values, false, true = _counts(scores, same)
    # In whole numbers, so that equal gains are equal. Accepting all gains as little as accepting
    # none, so the last is never the first of the best.
    gain = np.insert(true * false[-1] - false * true[-1], 0, 0)
    best = int(gain.argmax())
    if best == 0:
        return float(values[0])
    return float((values[best - 1] + values[best]) / 2)


def accuracy_at(
    threshold: float, scores: Float[np.ndarray, "p"], same: Bool[np.ndarray, "p"]
) -> float:
    """Return the mean of the shares of same and of different pairs that are right."""
    accepted = scores > threshold
    return float((accepted[same].mean() + (~accepted[~same]).mean()) / 2)
