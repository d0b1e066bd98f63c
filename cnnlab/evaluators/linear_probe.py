"""A linear classifier on frozen features, trained to convergence.

The usual measure of a representation (Chen et al. 2020, SimCLR, appendix B.8: L2-regularized
multinomial logistic regression by L-BFGS, the regularization chosen on validation data).
Shapes: query [n, d], train [m, d] -> share of the n that are right.

Deviation: features are standardized by the bank's mean and deviation, so that one grid of C
serves features of any scale.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cnnlab.data.argument_types import Positives, PositiveWhole
from cnnlab.errors import UserError
from cnnlab.evaluators.features import EvalResult, Features, without

# Deviations below this part of the features' size are float32's rounding errors.
NOISE = 1e-6


def linear_probe(
    query: Features,
    *,
    train: Features,
    val: Features,
    seed: int,
    similarity: Callable | None,
    grid: Positives = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
    max_iterations: PositiveWhole = 2000,
) -> EvalResult:
    """Return `accuracy`, and `tune_accuracy` of the chosen C.

    Args:
        query: what to classify.
        train: what the classifier is fitted on, without the rows of the query. Where hardly any
            would be left, as on the training split itself, they stay, and the setting says so.
        val: where C is chosen, without the rows of the query and the bank. Where none is left, a
            fifth of the bank, drawn by the seed, takes its place, and the classifier is then
            fitted on the whole bank.
        seed: of that fifth.
        similarity: not used.
        grid: values of C, the inverse of the weight of the L2 penalty against the sum of the
            losses; of those that do equally well the smallest is taken.
        max_iterations: of L-BFGS; where they did not do, the setting says so.

    Raises:
        UserError: the bank holds one class only, or the grid is empty or not above 0.
    """
    if not grid or min(grid) <= 0:
        raise UserError(f"linear_probe needs values of C above 0: grid={grid}")
    if len(np.unique(train.label)) < 2:
        raise UserError("linear_probe needs two classes or more in the training split; it has one")
    note, rest = "", without(train, query)
    if rest is not train:
        if rest is None or len(np.unique(rest.label)) < 2:
            note = ", NOT held out: fitted on rows that it is tested on"
        else:
            note = f", {len(train) - len(rest)} rows of this split left out of it"
            train = rest
    held_out = without(val, query, train)
    if held_out is None:
        order = np.random.default_rng(seed).permutation(len(train))
        held, fitted = np.split(order, [len(train) // 5])
        if len(np.unique(train.label[fitted])) < 2 or not len(held):
            raise UserError(f"linear_probe cannot choose C on a fifth of {len(train)} examples")
        fits = _fits(train.features[fitted], train.label[fitted], grid, max_iterations)
        best = _best(fits, train.features[held], train.label[held])
        fit = _fits(train.features, train.label, (best.c,), max_iterations)[0]
        tuned, where = best.accuracy(train.features[held], train.label[held]), "a fifth of the bank"
    else:
        fits = _fits(train.features, train.label, grid, max_iterations)
        fit = _best(fits, held_out.features, held_out.label)
        tuned, where = fit.accuracy(held_out.features, held_out.label), "the tuning split"
    end = " (end of the grid)" if len(grid) > 1 and fit.c in (min(grid), max(grid)) else ""
    setting = f"logistic regression, C={fit.c:g}{end} by {where}, bank of {len(train)}{note}"
    if not fit.converged:
        setting += f", NOT converged in {max_iterations} iterations"
    accuracy = fit.accuracy(query.features, query.label)
    return EvalResult(setting=setting, values={"accuracy": accuracy, "tune_accuracy": tuned})


@dataclass(frozen=True)
class _Fit:
    c: float
    scale: Callable
    predict: Callable
    converged: bool

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        return float((self.predict(self.scale(features)) == labels).mean())


def _fits(features: np.ndarray, labels: np.ndarray, grid: Positives, iterations: int) -> list[_Fit]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scale = standardization(features)
    rows, fits, start = scale(features), [], None
    for c in sorted(grid):
        model = LogisticRegression(C=c, max_iter=iterations, warm_start=True)
        if start is not None:
            model.coef_, model.intercept_ = start
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(rows, labels)
        converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
        start = model.coef_.copy(), model.intercept_.copy()
        fits.append(_Fit(c, scale, model.predict, converged))
    return fits


def _best(fits: list[_Fit], features: np.ndarray, labels: np.ndarray) -> _Fit:
    return max(fits, key=lambda fit: fit.accuracy(features, labels))


def standardization(
    features: Float[np.ndarray, "n d"],
) -> Callable[[Float[np.ndarray, "m d"]], Float[np.ndarray, "m d"]]:
    """Return what scales rows to these features' mean 0 and deviation 1, in float64.

    Features that do not vary by more than rounding errors become 0 and are not blown up.
    """
    rows = features.astype(np.float64)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    varies = deviation > NOISE * np.sqrt((rows**2).mean(axis=0))
    factor = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return lambda other: (other.astype(np.float64) - mean) * factor
