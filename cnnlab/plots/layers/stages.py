"""A model drawn endpoint by endpoint: its maps as slabs, and where parameters and MACs go.

Slabs lie as the maps do in the network, the image on top. Their sides go with the square root of
the map's, and their thickness with the cube root of its channels: on linear scales the last maps
would be dots. Bars are on linear scales from zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from cnnlab.analysis.model_table import training_only
from cnnlab.analysis.summary import Row, Summary
from cnnlab.analysis.tables import cell
from cnnlab.plots.style import BLUE, FAINT, GREEN, INK, ORANGE

BAND = "#f6f6f6"
# Front, top and side of a slab with parameters of its own, and of one without.
LEARNED = ("#56b4e9", "#9bd3f2", "#3a8fc0")
FIXED = ("#c9c9c9", "#e4e4e4", "#a9a9a9")

# Inches: height of a line, and the left edges and widths of the columns.
LINE = 0.37
NAMES, SLABS, SHAPES, BARS = 0.15, (1.55, 2.5), 5.35, (5.65, 7.35, 9.05)
BAR, NUMBER, WIDTH = 0.95, 0.06, 10.75
HEAD, FOOT = 1.12, 0.5
# The thickest slab, and how much of the depth of the widest is seen.
THICK, DEPTH = 0.22, 0.13


def stages_figure(model: Mapping[str, Any], summary: Summary) -> Figure:
    """Return a figure with a line for each endpoint.

    Args:
        model: the row of the model, as `model_table.model_row` gives it.
        summary: of the model on one image.
    """
    lines = len(summary.rows) + 1
    height = HEAD + LINE * lines + FOOT
    figure = Figure(figsize=(WIDTH, height), dpi=110, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    _head(axes, model)
    _bands(axes, lines)
    shapes = [model["input"], *(row.shape[1:] for row in summary.rows)]
    largest = max(n for shape in shapes for n in shape[:-1]), max(shape[-1] for shape in shapes)
    _slab(axes, _middle(0), model["input"], largest, FIXED)
    _label(axes, _middle(0), "image", model["input"], FAINT)
    _bars(axes, summary, model["input"])
    for line, row in enumerate(summary.rows, 1):
        _slab(axes, _middle(line), row.shape[1:], largest, LEARNED if row.parameters else FIXED)
        _label(axes, _middle(line), row.name, list(row.shape[1:]), INK)
    _foot(axes, summary, HEAD + LINE * lines + 0.3)
    return figure


def compact(number: int) -> str:
    """Return three digits and a unit: 25,557,032 is 25.6 M."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if number >= 0.9995 * 10**power:
            return f"{float(f'{number / 10**power:.3g}'):g} {unit}"
    return str(number)


def _middle(line: int) -> float:
    return HEAD + LINE * (line + 0.5)


def _head(axes: Axes, model: Mapping[str, Any]) -> None:
    axes.text(NAMES, 0.33, model["name"], fontsize=16, weight="bold", color=INK, va="center")
    accuracies = [
        f"{title} {cell(model[key])} %"
        for key, title in (("paper_top1", "top-1"), ("paper_top5", "top-5"))
        if model[key] is not None
    ]
    words = model["paper"]
    if accuracies:
        words += f": {', '.join(accuracies)} ({model['protocol']})"
    axes.text(NAMES, 0.62, words, fontsize=9.5, color=FAINT, va="center")
    style: Any = {"fontsize": 10, "color": INK, "va": "center", "weight": "bold"}
    y = HEAD - 0.15
    axes.text(NAMES, y, "endpoint", **style)
    middle = SLABS[0] + SLABS[1] / 2
    axes.text(middle, y, "map", ha="center", **style)
    axes.text(SHAPES, y, "shape", ha="right", **style)
    titles = ("parameters", "MACs", "receptive field")
    for x, title, color in zip(BARS, titles, (BLUE, ORANGE, GREEN), strict=True):
        axes.text(x, y, title, **{**style, "color": color})


def _bands(axes: Axes, lines: int) -> None:
    for line in range(0, lines, 2):
        corner = (0.0, HEAD + LINE * line)
        axes.add_patch(Rectangle(corner, WIDTH, LINE, facecolor=BAND, linewidth=0, zorder=0))


def _slab(
    axes: Axes, y: float, shape: Sequence[int], largest: tuple[int, int], colors: Sequence[str]
) -> None:
    """Draw a map as a slab seen from above and in front; the front is width by channels."""
    widest, most = largest
    high, wide, channels = (*(1,) * (3 - len(shape)), *shape)[-3:]
    width = SLABS[1] * (wide / widest) ** 0.5
    back = DEPTH * (high / widest) ** 0.5
    thickness = THICK * (channels / most) ** (1 / 3)
    shift = 1.1 * back
    left = SLABS[0] + (SLABS[1] - width - shift) / 2
    top, bottom = y - (thickness - back) / 2, y + (thickness + back) / 2
    right = left + width
    front = [(left, top), (right, top), (right, bottom), (left, bottom)]
    lid = [(left, top), (right, top), (right + shift, top - back), (left + shift, top - back)]
    side = [
        (right, top),
        (right + shift, top - back),
        (right + shift, bottom - back),
        (right, bottom),
    ]
    for corners, color in zip((front, lid, side), colors, strict=True):
        axes.add_patch(Polygon(corners, facecolor=color, edgecolor="white", linewidth=0.4))


def _label(axes: Axes, y: float, name: str, shape: Sequence[int], color: str) -> None:
    axes.text(NAMES, y, name, fontsize=10, color=color, va="center")
    text = cell(list(shape))
    axes.text(SHAPES, y, text, fontsize=9.5, color=color, va="center", ha="right")


def _bars(axes: Axes, summary: Summary, image: Sequence[int]) -> None:
    rows = summary.rows
    for x, color, key in ((BARS[0], BLUE, "parameters"), (BARS[1], ORANGE, "macs")):
        counts = [getattr(row, key) for row in rows]
        for line, count in enumerate(counts, 1):
            _bar(axes, x, line, count / max(1, *counts), color, compact(count) if count else "")
    fields = [_extent(row) for row in rows]
    widest = max(*(size or 1 for size in fields), *image[:-1])
    for line, (row, size) in enumerate(zip(rows, fields, strict=True), 1):
        text = "all" if size is None else cell(_plain(row))
        share = 1.0 if size is None else size / widest
        # In a column of their own, right of the line that marks the size of the image.
        color = "#a6d9c8" if size is None else GREEN
        _bar(axes, BARS[2], line, share, color, text, after=1.0)
    if rows and rows[0].fields:
        # Fields to the right of this line are larger than the image.
        x = BARS[2] + BAR * max(image[:-1]) / widest
        ends = [HEAD + LINE * 0.75, HEAD + LINE * (len(rows) + 1)]
        axes.plot([x, x], ends, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        style: Any = {"fontsize": 8.5, "color": FAINT, "va": "center", "ha": "center"}
        axes.text(x, _middle(0) - 0.03, f"image: {max(image[:-1])}", **style)


def _bar(
    axes: Axes,
    x: float,
    line: int,
    share: float,
    color: str,
    text: str,
    after: float | None = None,
) -> None:
    """Draw a bar, and its text behind it or behind the share `after`."""
    y = _middle(line)
    corner = (x, y - LINE * 0.27)
    axes.add_patch(Rectangle(corner, BAR * share, LINE * 0.54, facecolor=color, linewidth=0))
    place = x + BAR * (share if after is None else after) + NUMBER
    axes.text(place, y, text, fontsize=9, color=INK, va="center")


def _extent(row: Row) -> int | None:
    sizes = row.receptive_field
    return None if None in sizes or not sizes else max(n for n in sizes if n is not None)


def _plain(row: Row) -> list[int | None]:
    sizes = row.receptive_field
    return list(sizes[:1] if len(set(sizes)) == 1 else sizes)


def _foot(axes: Axes, summary: Summary, y: float) -> None:
    style: Any = {"fontsize": 10, "color": INK, "va": "center", "weight": "bold"}
    axes.plot([NAMES, WIDTH - NAMES], [y - 0.22] * 2, color=FAINT, linewidth=0.8)
    axes.text(NAMES, y, "total", **style)
    total, rest = summary.total, training_only(summary)
    axes.text(BARS[0], y, compact(total.parameters), **style)
    axes.text(BARS[1], y, compact(total.macs), **style)
    small: Any = {"fontsize": 8.5, "color": FAINT, "va": "center"}
    axes.text(
        SLABS[0], y, "side by square root, channels by cube root; gray: no parameters", **small
    )
    if rest:
        axes.text(BARS[0], y + 0.2, f"{compact(rest)} of them in training only", **small)
