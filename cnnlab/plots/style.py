"""The style that all figures share: fonts, colors, resolution, and names and numbers as text.

Colors are Okabe & Ito's (2008), which color-blind people can tell apart.
"""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.ticker import LogFormatter, LogFormatterMathtext, PercentFormatter

from cnnlab.metrics.formatting import is_share
from cnnlab.utils.files import open_file

BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
PINK, AMBER, SKY = "#cc79a7", "#e69f00", "#56b4e9"
INK, FAINT = "#222222", "#767676"
CYCLE = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY, INK)
LINE_STYLES = ("-", "--", ":", "-.")

# Letters that the first font lacks, Chinese ones for one, come from the first of these that has
# them and is installed.
FALLBACKS = (
    "Noto Sans CJK JP",
    "Noto Sans",
    "Noto Sans Devanagari",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "Malgun Gothic",
)

# Figures are files here: no window system is needed, and none is looked for.
mpl.use("Agg")
mpl.rcParams.update(
    {
        # Names of classes, files and parameters are shown as they are: a "$" begins no mathematics.
        "text.parse_math": False,
        "text.usetex": False,
        "font.family": ["DejaVu Sans", *(f for f in FALLBACKS if f in get_font_names())],
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "axes.prop_cycle": cycler(color=CYCLE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": FAINT,
        "figure.titlesize": 11,
        "grid.color": "#e4e4e4",
        "legend.fontsize": 9,
        "legend.frameon": False,
        "savefig.dpi": 120,
    }
)


def panels(count: int, *, width: float = 3.5, height: float = 2.4) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels, at most three in a row, in rows that are all full.

    Args:
        count: of panels, at least 1.
        width, height: of one in a full row, in inches.
    """
    rows = np.array_split(np.arange(count), -(-count // 3))
    size = max(width * len(rows[0]), 5.0), height * len(rows) + 0.8
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(hspace=0.06)  # type: ignore[union-attr, call-arg]
    grid, found = figure.add_gridspec(len(rows), 6), []
    for row, inside in enumerate(rows):
        span = 6 // len(inside)
        for column in range(len(inside)):
            place = grid[row, span * column : span * (column + 1)]
            found.append(figure.add_subplot(place))
    return figure, found


def clean(name: object) -> str:
    """Return a name on one line, without letters that no font draws."""
    return "".join(
        c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in str(name)
    )


def short(name: object, length: int = 30) -> str:
    """Return a name on one line, of at most so many letters: what is too long loses its middle."""
    text = clean(name)
    tail = (length - 1) // 2
    return text if len(text) <= length else f"{text[: length - 1 - tail]}…{text[-tail:]}"


def wrap(name: object, width: int, lines: int = 2) -> str:
    """Return a name on at most so many lines of a width, broken after spaces and punctuation."""
    for length in range(width * lines, 0, -1):
        found = [""]
        # Words that fit on a line, and pieces of those that do not.
        for part in re.findall(rf"[^\s/_.,-]{{0,{width - 1}}}[\s/_.,-]*|.", short(name, length)):
            if found[-1] and len(found[-1]) + len(part.rstrip()) > width:
                found.append("")
            found[-1] += part
        if len(found) <= lines:
            break
    return "\n".join(line.rstrip() for line in found)


def legend(axes: Axes, artists: Sequence[Artist], names: Sequence[str], **options: Any) -> None:
    """Add a legend of named artists."""
    # Handed over apart from the artists: matplotlib leaves out labels that begin with "_".
    axes.legend(list(artists), list(names), **options)


class _PlainLog(LogFormatter):
    """Plain numbers on a logarithmic axis: 0.01 or 1%, not 10 to the -2, which is mathematics."""

    share = False

    def __call__(self, x: float, pos: int | None = None) -> str:
        if not super().__call__(x, pos):
            return ""
        return f"{100 * x:g}%" if self.share else f"{x:g}"


class _Share(PercentFormatter):
    """Percent, and nothing above 100."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return "" if x > 1 + 1e-9 else super().__call__(x, pos)


def plain_log_labels(axes: Axes) -> None:
    """Label logarithmic axes in plain numbers."""
    for axis in (axes.xaxis, axes.yaxis):
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
            base = getattr(axis.get_transform(), "base", 10.0)
            axis.set_major_formatter(_PlainLog(base))
            axis.set_minor_formatter(_PlainLog(base))


def percent(axis: Axis, metric: str) -> None:
    """Label an axis in percent where its metric is a share."""
    if not is_share(metric):
        return
    if axis.get_scale() == "log":
        for set_formatter in (axis.set_major_formatter, axis.set_minor_formatter):
            formatter = _PlainLog()
            formatter.share = True
            set_formatter(formatter)
    else:
        axis.set_major_formatter(_Share(1.0))


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, and its folder where there is none."""
    for axes in figure.axes:
        plain_log_labels(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # A letter that the font lacks is a box in the figure.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        with open_file(path, "wb") as file:
            figure.savefig(file, format="png", bbox_inches="tight")
