"""Figures of a run as PNG: curves, confusion matrix, ROC, sheets of images, schedules."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, LogFormatterMathtext

# Figures are files here: no window system is needed, and none is looked for.
mpl.use("Agg")
# Names of classes, files and parameters are shown as they are: a "$" begins no mathematics.
mpl.rcParams.update({"text.parse_math": False, "text.usetex": False})


def short(name: object, length: int = 30) -> str:
    """Return a name on one line, cut to so many letters."""
    text = "".join(c if c.isprintable() else " " for c in str(name))
    return text if len(text) <= length else f"{text[: length - 1]}…"


def legend(axes: Axes, artists: Sequence[Artist], names: Sequence[str], **options: Any) -> None:
    """Add a legend of named artists."""
    # Handed over apart from the artists: matplotlib leaves out labels that begin with "_".
    axes.legend(list(artists), list(names), **options)


def plain_log_labels(axes: Axes) -> None:
    """Label logarithmic axes in plain numbers: by default their powers are mathematics."""
    for axis in (axes.xaxis, axes.yaxis):
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
            axis.set_major_formatter(LogFormatter())
            axis.set_minor_formatter(LogFormatter())


def _save(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        plain_log_labels(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # A letter that the font lacks is a box in the figure.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, dpi=120, bbox_inches="tight")


def learning_curves(rows: Sequence[dict], path: Path) -> None:
    """Draw every metric of `metrics.jsonl` over the steps, one panel a metric, a line a split."""
    series: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for row in rows:
        for name, value in row.items():
            split, _, metric = name.rpartition("/")
            if name in ("step", "epoch") or split == "time":
                continue
            series.setdefault(metric, {}).setdefault(split, []).append((row["step"], value))
    if not series:
        return
    columns = min(3, len(series))
    lines = -(-len(series) // columns)
    figure = Figure(figsize=(4.5 * columns, 3.2 * lines), layout="constrained")
    for number, (metric, splits) in enumerate(sorted(series.items()), start=1):
        axes = figure.add_subplot(lines, columns, number, title=metric, xlabel="step")
        for split, points in splits.items():
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, label=split or None, linewidth=1.4)
        if any(splits):
            legend(axes, axes.lines, list(splits))
        if metric in ("loss", "grad_norm") and min(v for p in splits.values() for _, v in p) > 0:
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
    _save(figure, path)


def confusion_matrix(counts: np.ndarray, names: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix, rows the true class, shaded by the share of the row."""
    classes, names = len(counts), [short(name) for name in names]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = min(14.0, 2.5 + 0.45 * classes)
    figure = Figure(figsize=(size, size), layout="constrained")
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes = figure.add_subplot(
        title=f"{np.trace(counts)} of {counts.sum()} right ({accuracy:.2%})",
        xlabel="predicted class",
        ylabel="true class",
    )
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if classes <= 40:
        axes.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(classes), names)
    if classes <= 20:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                color = "white" if share[i, j] > 0.5 else "black"
                axes.text(j, i, str(count), ha="center", va="center", color=color)
    _save(figure, path)


def image_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    path: Path,
    *,
    title: str = "",
    columns: int = 8,
) -> None:
    """Draw images (h w c, uint8 or floats in [0, 1]) in a grid with a caption each."""
    columns = min(columns, len(images))
    lines = -(-len(images) // columns)
    figure = Figure(figsize=(1.5 * columns, 1.75 * lines + 0.4), layout="constrained")
    # One pair of axes for all: a pair an image takes matplotlib seconds to lay out.
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        line, column = divmod(number, columns)
        left, top = 1.1 * column, -1.3 * line
        height, width = np.array(image.shape[:2]) / max(image.shape[:2])
        brightest = 255 if image.dtype == np.uint8 else 1.0
        shown = image[..., 0] if image.shape[-1] == 1 else image[..., :3]
        extent = (left, left + width, top - height, top)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=brightest, extent=extent)
        axes.text(left + width / 2, top + 0.03, caption, fontsize=8, ha="center", va="bottom")
    axes.set_xlim(-0.05, 1.1 * columns)
    axes.set_ylim(-1.3 * lines + 0.2, 0.2)
    _save(figure, path)


def schedule(rate: Callable[[int], float], steps: int, path: Path) -> None:
    """Draw the learning rate over a run."""
    at = np.unique(np.linspace(0, steps, min(steps + 1, 1000)).astype(int))
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="learning rate")
    axes.plot(at, [float(rate(int(step))) for step in at])
    axes.grid(alpha=0.3)
    _save(figure, path)


def roc_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path, *, title: str = ""
) -> None:
    """Draw ROC curves: true against false accepts, these also on a logarithmic scale.

    Args:
        curves: (false accepts, true accepts) of each, by the name for the legend.
        path: where the PNG goes.
        title: of the figure.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    if title:
        figure.suptitle(title)
    least = min([1e-1, *(float(x[x > 0].min()) for x, _ in curves.values() if (x > 0).any())])
    for number, scale in enumerate(("linear", "log"), start=1):
        axes = figure.add_subplot(1, 2, number, xscale=scale, ylim=(0, 1.01))
        axes.set(xlabel="different pairs accepted", ylabel="same pairs accepted")
        line = np.geomspace(least, 1, 100) if scale == "log" else np.array([0.0, 1.0])
        axes.plot(line, line, color="gray", linestyle=":", linewidth=1, label="chance")
        for name, (x, y) in curves.items():
            axes.plot(x, y, label=name, linewidth=1.5)
        axes.set_xlim(least if scale == "log" else -0.01, 1)
        axes.grid(alpha=0.3)
        if scale == "linear":
            legend(axes, axes.lines, ["chance", *curves], loc="lower right")
    _save(figure, path)
