"""Figures of a run: confusion of classes, sheets of images, the learning rate, ROC curves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cnnlab.plots import style
from cnnlab.plots.learning_curves import rates

# Cells of a larger matrix are too small to be seen; its most confused pairs are drawn instead.
MATRIX_CLASSES = 60
PAIRS = 30
# Letters on a line below an image, and lines of a name.
CAPTION, CAPTION_LINES = 20, 2
# Pixels of an image in a sheet, more than are printed.
THUMBNAIL = 256


def confusion_matrix(counts: np.ndarray, names: Sequence[str], *, title: str = "") -> Figure:
    """Return a confusion matrix [true, predicted], or of many classes the most confused pairs."""
    right, total = int(np.trace(counts)), int(counts.sum())
    heading = f"{title}: " if title else ""
    heading += f"{right:,} of {total:,} right ({right / max(total, 1):.2%})"
    if len(counts) > MATRIX_CLASSES:
        return _confused_pairs(counts, names, heading)
    classes = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = [style.short(name, 24) for name in names]
    longest = max(map(len, shown))
    size = 1.6 + max(0.42 if classes <= 20 else 0.19, 0.05) * classes + 0.07 * longest
    figure = Figure(figsize=(max(size, 4.0), max(size, 3.6)), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted class", ylabel="true class")
    figure.suptitle(heading)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    small: dict[str, Any] = {"fontsize": 9 if classes <= 20 else 7}
    axes.set_xticks(range(classes), shown, rotation=90 if longest > 2 else 0, **small)
    axes.set_yticks(range(classes), shown, **small)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # Between the cells, so that empty rows of many classes can be followed.
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    if classes <= 20:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                color = "white" if share[i, j] > 0.5 else style.INK
                fit: dict[str, Any] = {
                    "ha": "center",
                    "va": "center",
                    "fontsize": 9 if count < 1000 else 7,
                }
                axes.text(j, i, str(count), color=color, **fit)
    return figure


def _confused_pairs(counts: np.ndarray, names: Sequence[str], heading: str) -> Figure:
    """Return bars of the pairs (true, predicted) that are taken for each other most often."""
    wrong = np.array(counts)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [divmod(int(i), len(wrong)) for i in order if wrong.flat[i]]
    figure = Figure(figsize=(8.5, 1.5 + 0.24 * max(len(pairs), 1)), layout="constrained")
    seen = int((counts.sum(axis=1) > 0).sum())
    # Rows that no example has say nothing.
    figure.suptitle(f"{heading}\n{seen:,} classes of {len(counts):,} are in this split")
    axes = figure.add_subplot(xlabel="examples")
    if not pairs:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no class was taken for another", ha="center")
        return figure
    axes.set_title(f"the {len(pairs)} most confused pairs: true → predicted", loc="left")
    values = [int(wrong[pair]) for pair in pairs]
    axes.barh(range(len(pairs)), values, color=style.BLUE, height=0.7)
    labels = [f"{style.short(names[i], 32)} → {style.short(names[j], 32)}" for i, j in pairs]
    axes.set_yticks(range(len(pairs)), labels, fontsize=8)
    for line, ((i, _), value) in enumerate(zip(pairs, values, strict=True)):
        text = f" {value:,} of {int(counts[i].sum()):,}"
        axes.text(value, line, text, va="center", fontsize=8, color=style.FAINT)
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max(values))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="y", length=0)
    return figure


def image_sheet(
    images: Sequence[np.ndarray], captions: Sequence[str], *, title: str = "", columns: int = 8
) -> Figure:
    """Return images (h w c, uint8 or floats in [0, 1]) in a grid with a caption above each.

    Large images are shown as `thumbnail`s; of 2 channels, or of more than 4, their mean.

    A caption is on one line where it fits, and else broken where it has newlines, and within long
    names; what is longer still loses its middle.
    """
    columns = min(columns, len(images))
    lines = -(-len(images) // columns)
    texts = [_caption(caption) for caption in captions]
    # In units of an image's side: the room of a caption.
    head = 0.04 + 0.105 * max(text.count("\n") + 1 for text in texts)
    pitch = 1.08 + head
    figure = Figure(figsize=(1.5 * columns + 0.2, 1.36 * pitch * lines + 0.5), layout="constrained")
    # One pair of axes for all: a pair an image takes matplotlib seconds to lay out.
    axes = figure.add_subplot()
    axes.set_title("\n".join(map(style.clean, title.split("\n"))))
    axes.set_axis_off()
    for number, (image, caption) in enumerate(zip(map(thumbnail, images), texts, strict=True)):
        line, column = divmod(number, columns)
        left, top = 1.1 * column, -pitch * line
        height, width = np.array(image.shape[:2]) / max(image.shape[:2])
        brightest = 255 if image.dtype == np.uint8 else 1.0
        colors = image.shape[-1] in (3, 4)
        shown = image[..., :3] if colors else image.mean(axis=-1)
        extent = (left, left + width, top - height, top)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=brightest, extent=extent)
        place = left + width / 2, top + 0.03
        axes.text(*place, caption, fontsize=8, ha="center", va="bottom", linespacing=1.05)
    axes.set_xlim(-0.05, 1.1 * columns)
    axes.set_ylim(-pitch * lines + head, head)
    return figure


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return an image (h w c) with at most `THUMBNAIL` pixels on its longer side."""
    height, width = image.shape[:2]
    if max(height, width) <= THUMBNAIL:
        return image
    share = THUMBNAIL / max(height, width)
    size = max(1, round(width * share)), max(1, round(height * share))
    # One by one: OpenCV knows at most 4 channels.
    channels = np.moveaxis(image, -1, 0)
    return np.dstack([cv2.resize(c, size, interpolation=cv2.INTER_AREA) for c in channels])


def _caption(text: str) -> str:
    whole = style.clean(text)
    if len(whole) <= CAPTION:
        return whole
    return "\n".join(style.wrap(part, CAPTION, CAPTION_LINES) for part in text.split("\n"))


def schedule(rate: Callable[[int], float], steps: int, *, title: str = "") -> Figure:
    """Return the learning rate over a run, from step 0 to its last."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="step", ylabel="learning rate")
    axes.plot(*zip(*rates(rate, steps), strict=True), linewidth=1.6)
    axes.grid()
    return figure


def roc_curves(
    curves: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]], *, title: str = ""
) -> Figure:
    """Return ROC curves: true against false accepts, these also on a logarithmic scale.

    An encoder has a color, an endpoint a style of line.

    Args:
        curves: (false accepts, true accepts) of each (encoder, endpoint).
        title: of the figure.
    """
    encoders = list(dict.fromkeys(encoder for encoder, _ in curves))
    endpoints = list(dict.fromkeys(endpoint for _, endpoint in curves))
    least = min([1e-1, *(float(x[x > 0].min()) for x, _ in curves.values() if (x > 0).any())])

    def looks(encoder: str, endpoint: str) -> dict[str, str]:
        return {
            "color": style.CYCLE[encoders.index(encoder) % len(style.CYCLE)],
            "linestyle": style.LINE_STYLES[endpoints.index(endpoint) % len(style.LINE_STYLES)],
        }

    figure = Figure(figsize=(9, 4.6), layout="constrained")
    figure.suptitle(title)
    for axes, scale in zip(figure.subplots(1, 2, sharey=True), ("linear", "log"), strict=True):
        axes.set(xscale=scale, ylim=(0, 1.01), xlabel=f"different pairs accepted ({scale} scale)")
        _chance(axes, least)
        for (encoder, endpoint), (x, y) in curves.items():
            label = f"{encoder}, {endpoint}" if encoder != endpoint else encoder
            axes.plot(x, y, label=label, linewidth=1.5, **looks(encoder, endpoint))
        axes.set_xlim(least if scale == "log" else -0.01, 1)
        style.percent(axes.xaxis, "far")
        style.percent(axes.yaxis, "tar")
        if scale == "linear":
            axes.set_ylabel("same pairs accepted")
        axes.grid()
    lines: list[Line2D] = list(figure.axes[0].lines)
    names = [str(line.get_label()) for line in lines]
    columns = 3 if max(map(len, names)) <= 40 else 1
    figure.legend(lines, names, loc="outside lower center", ncols=columns)
    return figure


def _chance(axes: Axes, least: float) -> None:
    line = np.geomspace(least, 1, 100) if axes.get_xscale() == "log" else np.array([0.0, 1.0])
    axes.plot(line, line, color="#b0b0b0", linewidth=1, label="chance")
