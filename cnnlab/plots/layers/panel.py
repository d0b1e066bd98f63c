"""One frame drawn on axes whose unit is a cell: grids, window, formula.

Colors are Okabe & Ito's, which color-blind people can tell apart: blue what goes in, orange the
weights, green what comes out; padding has dashed edges, zeros put between values dotted ones.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea, VPacker
from matplotlib.patches import Rectangle

from cnnlab.plots.layers.frame import INSERTED, PADDING, Frame, Grid, Span, number

# Role: (text and edges, cells, marked cells).
COLORS = {
    "input": ("#00558c", "#e3f0f9", "#9fd0f0"),
    "kernel": ("#9a5b00", "#fdf1d8", "#f8cf78"),
    "output": ("#00664c", "#dff3ec", "#8ad7bd"),
    "": ("#333333", "#ffffff", "#dddddd"),
}
FAINT = "#7a7a7a"
# Kind: (edge, cell, marked cell, meaning).
EMPTY: dict[int, tuple[Any, str, str, str]] = {
    PADDING: ((0, (3, 2)), "#ffffff", "#dbe3e8", "padding"),
    INSERTED: ((0, (1, 1.6)), "#f0f0f0", "#d3d9dd", "zeros between"),
}
CURRENT = "#d1352b"

# Lengths are in cells; a cell is this many inches.
CELL = 0.55
GAP, HEAD, NAME, FOOT, LINE, MARGIN = 1.1, 1.35, 0.55, 0.35, 0.5, 0.35
# Letters of a formula that fit in the width of a cell.
LETTERS = 5.8


def _extent(frame: Frame) -> tuple[float, int]:
    """Return width and height of a frame's grids and signs."""
    width = sum(p.values.shape[1] if isinstance(p, Grid) else GAP for p in frame.parts)
    return float(width), max(grid.values.shape[0] for grid in frame.grids)


def panel_size(frames: Sequence[Frame]) -> tuple[float, float]:
    """Return width and height that hold any of the frames."""
    extents = [_extent(frame) for frame in frames]
    # Wide enough for a title.
    width = max(*(w for w, _ in extents), 9.0, max(len(f.title) for f in frames) / 4) + 2 * MARGIN
    lines = max(len(formula_lines(frame.formula, width)) for frame in frames)
    tall = max(h for _, h in extents)
    return width, HEAD + NAME + tall + FOOT + lines * LINE + MARGIN + 0.2


def draw(
    axes: Axes,
    frame: Frame,
    corner: tuple[float, float],
    size: tuple[float, float],
    count: str = "",
) -> None:
    """Draw a frame with its top left at `corner`, in axes whose unit is a cell, y downwards."""
    (left, top), (width, height) = corner, size
    axes.text(left + MARGIN, top + 0.5, frame.title, fontsize=12, weight="bold", va="center")
    axes.text(
        left + width - MARGIN, top + 0.5, count, fontsize=9, color=FAINT, va="center", ha="right"
    )
    axes.text(left + MARGIN, top + 1.05, frame.subtitle, fontsize=9.5, color=FAINT, va="center")
    _draw_legend(axes, frame, left + width - MARGIN, top + 1.05)
    wide, _ = _extent(frame)
    lines = formula_lines(frame.formula, width)
    middle = top + HEAD + NAME + (height - HEAD - NAME - FOOT - len(lines) * LINE - MARGIN) / 2
    x = left + (width - wide) / 2
    for part in frame.parts:
        if isinstance(part, Grid):
            rows, columns = part.values.shape
            _draw_grid(axes, part, x, middle - rows / 2)
            x += columns
        else:
            axes.text(x + GAP / 2, middle, part, fontsize=20, ha="center", va="center")
            x += GAP
    _draw_formula(axes, lines, (left + width / 2, top + height - MARGIN))


def _draw_legend(axes: Axes, frame: Frame, right: float, middle: float) -> None:
    """Say what dashed and dotted cells are, where there are any."""
    for kind, (style, plain, _, meaning) in EMPTY.items():
        if any((grid.kinds == kind).any() for grid in frame.grids):
            axes.text(right, middle, meaning, fontsize=9.5, color=FAINT, va="center", ha="right")
            right -= 0.15 * len(meaning) + 0.4
            corner = right, middle - 0.16
            axes.add_patch(
                Rectangle(
                    corner, 0.32, 0.32, facecolor=plain, edgecolor=FAINT, linewidth=0.9, ls=style
                )
            )
            right -= 0.3


def _draw_grid(axes: Axes, grid: Grid, left: float, top: float) -> None:
    dark, light, strong = COLORS[grid.role]
    columns = grid.values.shape[1]
    axes.text(
        left + columns / 2, top - 0.22, grid.name, fontsize=11, color=dark, ha="center", va="bottom"
    )
    for (i, j), value in np.ndenumerate(grid.values):
        kind, corner = grid.kinds[i, j], (left + j, top + i)
        true = kind not in EMPTY
        style, plain, seen, _ = EMPTY.get(int(kind), ("-", light, strong, ""))
        face = "white" if np.isnan(value) else seen if grid.marked[i, j] else plain
        edge = dark if true and not np.isnan(value) else FAINT
        cell = Rectangle(
            corner, 1, 1, facecolor=face, edgecolor=edge, linewidth=0.9, linestyle=style
        )
        cell.set_zorder(2 if true else 1)
        axes.add_patch(cell)
        text = number(value)
        axes.text(
            corner[0] + 0.5,
            corner[1] + (0.44 if (i, j) in grid.notes else 0.52),
            text,
            fontsize=15 if len(text) < 4 else 11 if len(text) < 6 else 8,
            color=FAINT if not true else "black" if grid.marked[i, j] else dark,
            ha="center",
            va="center",
            zorder=4,
        )
        if (i, j) in grid.notes:
            axes.text(
                corner[0] + 0.95,
                corner[1] + 0.93,
                grid.notes[i, j],
                fontsize=8.5,
                color="#333333",
                ha="right",
                va="bottom",
                zorder=4,
            )
    _outline(axes, grid, left, top)


def _outline(axes: Axes, grid: Grid, left: float, top: float) -> None:
    """Draw a line around the window, and around what is written now."""
    if grid.notes or 0 < grid.marked.sum() < grid.marked.size:
        places = np.argwhere(grid.marked)
        (i, j), (last, end) = places.min(axis=0), places.max(axis=0) + 1
        axes.add_patch(
            Rectangle((left + j, top + i), end - j, last - i, fill=False, linewidth=2.2, zorder=5)
        )
    if not grid.current.any():
        return
    places = np.argwhere(grid.current)
    (i, j), (last, end) = places.min(axis=0), places.max(axis=0) + 1
    together = len(places) == (last - i) * (end - j)
    boxes = [(i, j, last, end)] if together else [(i, j, i + 1, j + 1) for i, j in places]
    for i, j, last, end in boxes:
        axes.add_patch(
            Rectangle(
                (left + j + 0.03, top + i + 0.03),
                end - j - 0.06,
                last - i - 0.06,
                fill=False,
                edgecolor=CURRENT,
                linewidth=2.4,
                zorder=6,
            )
        )


def formula_lines(formula: Sequence[Span], width: float) -> list[list[Span]]:
    """Return a formula in lines that fit in `width` cells, broken before a sign."""
    groups: list[list[Span]] = []
    for span in formula:
        if not groups or span.text.strip() in ("+", "=", ","):
            groups.append([])
        groups[-1].append(span)
    lines: list[list[Span]] = []
    room, used = (width - 2 * MARGIN) * LETTERS, 0
    for group in groups:
        letters = sum(len(span.text) for span in group)
        if not lines or used + letters > room:
            lines.append([])
            used = 0
        lines[-1] += group
        used += letters
    return lines


def _draw_formula(axes: Axes, lines: list[list[Span]], bottom: tuple[float, float]) -> None:
    if not lines:
        return
    rows: list[Any] = [
        HPacker(
            children=[
                TextArea(s.text, textprops={"color": COLORS[s.role][0], "fontsize": 13})
                for s in line
                if s.text
            ],
            pad=0,
            sep=0,
            align="baseline",
        )
        for line in lines
    ]
    box = VPacker(children=rows, pad=0, sep=4, align="center")
    axes.add_artist(
        AnnotationBbox(box, bottom, frameon=False, box_alignment=(0.5, 0), pad=0, zorder=7)
    )
