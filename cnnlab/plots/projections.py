"""Projections of an embedding to the plane: PCA, t-SNE and UMAP.

Principal components (Pearson 1901; Hotelling 1933) by a singular value decomposition; t-SNE (van
der Maaten & Hinton 2008) by scikit-learn; UMAP (McInnes, Healy, Melville 2018) by umap-learn
where it is installed. Shapes: features [n, d] -> points [n, 2] and a line on how they were made.
"""

import importlib.util
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from cnnlab.errors import UserError
from cnnlab.utils.registry import pick

Points = Float[np.ndarray, "n 2"]


def pca(features: Float[np.ndarray, "n d"], seed: int) -> tuple[Points, str]:
    """Return the two principal components, and the shares of the variance on the axes."""
    rows = features.astype(np.float64)
    rows = rows - rows.mean(axis=0)
    left, values, _ = np.linalg.svd(rows, full_matrices=False)
    points = np.zeros((len(rows), 2))
    kept = min(2, len(values))
    points[:, :kept] = left[:, :kept] * values[:kept]
    # The sign of a component is arbitrary: its largest entry is made positive.
    largest = np.abs(points).argmax(axis=0)
    points *= np.where(points[largest, [0, 1]] < 0, -1, 1)
    share = np.zeros(2)
    share[:kept] = values[:kept] ** 2 / max(float((values**2).sum()), 1e-300)
    return points, f"principal components, {share[0]:.0%} and {share[1]:.0%} of the variance"


def tsne(features: Float[np.ndarray, "n d"], seed: int) -> tuple[Points, str]:
    """Return t-SNE of the features, started from their principal components."""
    from sklearn.manifold import TSNE

    check("tsne", len(features))
    perplexity = min(30.0, (len(features) - 1) / 3)
    model = TSNE(perplexity=perplexity, init="random", random_state=seed)
    if np.ptp(features, axis=0).max() > 0 and min(features.shape) >= 2:
        model.set_params(init="pca")
    return model.fit_transform(features).astype(np.float64), f"t-SNE, perplexity {perplexity:.3g}"


UMAP_MISSING = "UMAP needs the package umap-learn: pip install umap-learn, or choose pca or tsne"


def umap(features: Float[np.ndarray, "n d"], seed: int) -> tuple[Points, str]:
    """Return UMAP of the features; UserError where umap-learn is not installed."""
    try:
        from umap import UMAP
    except ImportError:
        raise UserError(UMAP_MISSING) from None
    neighbors = min(15, len(features) - 1)
    model = UMAP(n_neighbors=neighbors, random_state=seed, n_jobs=1)
    points = np.asarray(model.fit_transform(features), np.float64)
    return points, f"UMAP, {neighbors} neighbors"


VIEWS: dict[str, Callable[[np.ndarray, int], tuple[np.ndarray, str]]] = {
    "pca": pca,
    "tsne": tsne,
    "umap": umap,
}


def check(view: str, points: int | None = None) -> None:
    """Raise a `UserError` for a view that there is not, or that cannot be drawn.

    Args:
        view: of `VIEWS`.
        points: how many there are; None where that is not known yet.
    """
    pick(VIEWS, view, "view of an embedding")
    if view == "umap" and importlib.util.find_spec("umap") is None:
        raise UserError(UMAP_MISSING)
    if view == "tsne" and points is not None and points < 4:
        raise UserError(f"t-SNE needs four points or more: {points}")
