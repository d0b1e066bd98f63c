"""Classical classifiers on raw pixels: baselines that a trained network has to beat.

Each takes training images and labels and test images, as arrays, and returns test predictions.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

Pixels = Float[np.ndarray, "n d"]
TestPixels = Float[np.ndarray, "m d"]
Labels = Int[np.ndarray, "n"]


def majority(train: Pixels, labels: Labels, test: TestPixels) -> np.ndarray:
    """Predict the most frequent training class."""
    del train
    return np.full(len(test), np.bincount(labels).argmax())


def nearest_neighbor(train: Pixels, labels: Labels, test: TestPixels) -> np.ndarray:
    """Predict the class of the nearest training image in Euclidean distance."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(1).fit(train, labels).predict(test)


def rbf_svm(train: Pixels, labels: Labels, test: TestPixels) -> np.ndarray:
    """Predict with a support vector machine with radial basis functions.

    C and gamma are chosen by cross-validation over five contiguous folds, because neighbors in a
    file may come from one source (in `digits`, from one writer), and the machine is then fitted
    to all of `train`.
    """
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.svm import SVC

    scale = 1 / (train.shape[1] * train.var())
    grid = {"C": [1, 10, 100], "gamma": [scale / 2, scale, 2 * scale, 4 * scale]}
    search = GridSearchCV(SVC(), grid, cv=KFold(5))
    return search.fit(train, labels).predict(test)


BASELINES: dict[str, Callable[[Pixels, Labels, TestPixels], np.ndarray]] = {
    "majority": majority,
    "nearest_neighbor": nearest_neighbor,
    "rbf_svm": rbf_svm,
}
