"""What is wrong with IoU as a loss, drawn: losses by distance, descents, and areas on the way."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cnnlab.analysis.box_descent import MEASURES, descend, losses
from cnnlab.geometry import boxes
from cnnlab.plots.style import FAINT, INK

# Four pixels of nothing between them.
TARGET = np.array([10.0, 4.0, 18.0, 10.0])
START = np.array([6.0, 14.0, 12.0, 22.0])
SHOWN = (0, 30, 60, 100, 150, 300)


def box_losses_figure() -> Figure:
    """Return the figure: losses of a box that is shifted, and three descents from `START`."""
    figure = Figure(figsize=(13, 6.6), dpi=110, layout="constrained")
    grid: Any = figure.subplots(2, 3)
    _draw_losses(grid[0, 0])
    paths = {name: descend(name, START, TARGET) for name in MEASURES}
    for axes, name in zip(grid.ravel()[1:4], ("IoU", "GIoU", "DIoU"), strict=True):
        _draw_descent(axes, name, paths[name])
    for axes, what in zip(grid.ravel()[4:], ("area", "IoU"), strict=True):
        for name, path in paths.items():
            values = boxes.area(path)
            if what == "IoU":
                values = np.asarray(MEASURES["IoU"](path, TARGET[None].astype(np.float32)))
            axes.plot(values, label=name)
        axes.set_xlabel("steps of 0.2 pixels")
        axes.legend()
    grid[1, 1].set_title("all but IoU first enlarge the box")
    grid[1, 1].set_ylabel("area of the box, square pixels")
    grid[1, 2].set_title("IoU alone never gets there")
    grid[1, 2].set_ylabel("IoU with the target")
    return figure


def _draw_losses(axes: Axes) -> None:
    shifts = np.linspace(-24, 24, 481)
    for name in MEASURES:
        axes.plot(shifts, losses(name, TARGET, TARGET, shifts), label=f"1 - {name}")
    width = TARGET[3] - TARGET[1]
    for edge in (-width, width):
        axes.axvline(edge, color=FAINT, linestyle=":", lw=1)
    axes.set_title("a box shifted past its target: beyond the dots IoU's slope is 0")
    axes.set_xlabel("pixels between the two")
    axes.set_ylabel("loss")
    axes.legend()


def _draw_descent(axes: Axes, name: str, path: np.ndarray) -> None:
    for step in SHOWN:
        y0, x0, y1, x1 = path[step]
        shade = 0.25 + 0.75 * step / SHOWN[-1]
        axes.add_patch(
            Rectangle(
                (x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="C0", alpha=shade, linewidth=1.5
            )
        )
        still = (path[step] == path[0]).all()
        if step in (0, SHOWN[-1]) and not (step and still):
            axes.annotate(f"step {step}", (x0, y0), xytext=(0, 3), textcoords="offset points")
    y0, x0, y1, x1 = TARGET
    axes.add_patch(
        Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=INK, linewidth=2, ls="--")
    )
    axes.set_title(f"descent on 1 - {name}, dashed: the target")
    axes.set_xlim(0, 26)
    axes.set_ylim(21, 2)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
