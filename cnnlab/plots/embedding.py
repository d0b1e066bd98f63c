"""Figure of an embedding: its points in the plane, colored and named by class.

Shapes: features [n, d], labels [n] -> a PNG. `planes` has the ways to the plane.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Integer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from cnnlab.errors import UserError
from cnnlab.plots import style
from cnnlab.plots.projections import VIEWS
from cnnlab.plots.style import legend, short
from cnnlab.utils.registry import pick

# More classes than this have no color of their own that an eye could tell.
NAMED_COLORS = 20


def embedding_view(
    features: Float[np.ndarray, "n d"],
    labels: Integer[np.ndarray, "n"],
    path: Path,
    *,
    view: str = "pca",
    names: Sequence[str] = (),
    title: str = "",
    limit: int = 5000,
    seed: int = 0,
) -> None:
    """Draw the points of an embedding in the plane as a PNG.

    Up to 20 classes have a color each and a legend. Of more, neighbors in the plane differ in
    color, and classes are named at their median, as many as there is room for.

    Args:
        features: one row a point.
        labels: class of each, its color.
        path: where the PNG goes.
        view: "pca", "tsne" or "umap".
        names: of the classes by number; (): the numbers.
        title: of the figure.
        limit: more points than this are drawn at random, the same for the same seed.
        seed: of that and of t-SNE and UMAP.

    Raises:
        UserError: the view is unknown or lacks its package, or features are NaN or infinite.
    """
    if not np.isfinite(features).all():
        raise UserError("the embedding holds NaN or infinity: has the training diverged?")
    project = pick(VIEWS, view, "view of an embedding")
    rng = np.random.default_rng(seed)
    total = len(features)
    kept = rng.permutation(total)[:limit]
    features, labels = features[kept], labels[kept]
    points, how = project(features, seed)
    classes = np.unique(labels)
    few = len(classes) <= NAMED_COLORS
    figure = Figure(figsize=(8, 7) if few else (12, 11), layout="constrained")
    axes = figure.add_subplot(title=title or None, xticks=[], yticks=[])
    drawn = f"{len(kept)} of {total} points" if len(kept) < total else f"{total} points"
    # Axes have no numbers and fit the points: a collapsed embedding would look like any other.
    spread = features.std(axis=0, dtype=np.float64) @ features.std(axis=0, dtype=np.float64)
    length = max(float((features.astype(np.float64) ** 2).sum(axis=1).mean()), 1e-300)
    axes.set_xlabel(
        f"{how}\n{drawn}, {len(classes)} classes; deviation {(spread / length) ** 0.5:.2g}"
        " of the features' length"
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[:].set_visible(False)
    colors = _colors(points, labels, classes)
    size = float(np.clip(9000 / len(kept), 4, 30))
    # In random order, so that no class lies on top of the others.
    axes.scatter(
        points[:, 0], points[:, 1], c=colors[np.searchsorted(classes, labels)], s=size, linewidths=0
    )
    words = [short(names[c] if 0 <= c < len(names) else c) for c in classes]
    if few:
        dots = [axes.scatter([], [], color=color, s=30) for color in colors]
        place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
        legend(axes, dots, words, **place)
    else:
        _name(axes, points, labels, classes, words, colors)
    style.save(figure, path)


def _colors(points: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return a color [c, 4] of each class."""
    if len(classes) <= 10:
        return mpl.colormaps["tab10"](np.arange(len(classes)))
    if len(classes) <= NAMED_COLORS:
        return mpl.colormaps["tab20"](np.arange(len(classes)))
    # Steps of the golden angle: any few classes in a row have hues far apart. Classes are taken
    # along the plane, so that those in a row are neighbors in it.
    order = np.argsort(_along(_medians(points, labels, classes)))
    number = np.empty(len(classes), int)
    number[order] = np.arange(len(classes))
    hue = number * 0.381966 % 1
    value = np.array([0.95, 0.7, 0.5])[number % 3]
    colors = mpl.colors.hsv_to_rgb(np.stack([hue, 0.55 + 0.4 * (number % 2), value], axis=1))
    return np.concatenate([colors, np.ones((len(classes), 1))], axis=1)


def _medians(points: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return np.array([np.median(points[labels == c], axis=0) for c in classes])


def _along(places: np.ndarray) -> np.ndarray:
    """Return where on a path that goes to and fro through the plane each place lies."""
    span = np.ptp(places, axis=0)
    x, y = (places - places.min(axis=0)).T / np.where(span == 0, 1, span)[:, None]
    lines = max(1, int(len(places) ** 0.5))
    line = np.minimum((y * lines).astype(int), lines - 1)
    return line + np.where(line % 2 == 0, x, 1 - x) * 0.999


def _name(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
    words: list[str],
    colors: np.ndarray,
) -> None:
    """Write the names of classes, largest first, where no other name stands yet."""
    # Of the figure's side a letter takes about 1/120, a line 1/60.
    span = max(float(np.ptp(points, axis=0).max()), 1e-9)
    medians = _medians(points, labels, classes)
    taken: list[tuple[float, float, float]] = []
    for index in np.argsort([-(labels == c).sum() for c in classes], kind="stable"):
        x, y = medians[index]
        half = span * len(words[index]) / 240
        if any(abs(x - u) < half + w and abs(y - v) < span / 60 for u, v, w in taken):
            continue
        taken.append((x, y, half))
        text = axes.text(x, y, words[index], fontsize=7, ha="center", va="center")
        pale = 0.35 * colors[index] + 0.65
        text.set_path_effects([withStroke(linewidth=2.0, foreground=pale)])
