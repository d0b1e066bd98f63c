"""Receptive fields drawn over an image: how much of it a unit sees, endpoint by endpoint."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from jaxtyping import Shaped
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cnnlab.analysis.summary import Row

mpl.use("Agg")

# Okabe & Ito's colors, those that stand out on an image first.
COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")


class Box(NamedTuple):
    """A receptive field: pixels `top` to `top + height`, and what is said of it."""

    name: str
    top: float
    left: float
    height: float
    width: float


def boxes_of(rows: Iterable[Row], size: Sequence[int]) -> list[Box]:
    """Return the field of the unit in the middle of each endpoint, for an image of this size.

    A field that is everything, or of an endpoint without rows and columns, is the whole image.
    """
    boxes = []
    for row in rows:
        edges = []
        for axis in range(2):
            extent = row.receptive_field[axis] if axis < len(row.receptive_field) else None
            if extent is None or len(row.shape) != 4:
                edges.append((0.0, float(size[axis])))
                continue
            middle = row.shape[1 + axis] // 2
            edges.append((float(row.start[axis] + middle * row.stride[axis]), float(extent)))
        (top, height), (left, width) = edges
        boxes.append(Box(row.name, top, left, height, width))
    return boxes


def overlay(image: Shaped[np.ndarray, "h w c"], boxes: Sequence[Box], title: str = "") -> Figure:
    """Return a figure of the image with a frame for each box, and a list of them beside it.

    Args:
        image: uint8, or floats in [0, 1]; one channel or three.
        boxes: may lie partly outside: the part outside is padding, shown hatched.
        title: what is written on top.
    """
    height, width = image.shape[:2]
    top = min([0.0, *(box.top for box in boxes)])
    left = min([0.0, *(box.left for box in boxes)])
    bottom = max([height, *(box.top + box.height for box in boxes)])
    right = max([width, *(box.left + box.width for box in boxes)])
    margin = 0.02 * max(bottom - top, right - left)
    tall, wide = bottom - top + 2 * margin, right - left + 2 * margin
    scale = 5.5 / max(tall, wide)
    figure = Figure(figsize=(wide * scale + 3.2, tall * scale + 0.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=12, weight="bold", loc="left")
    axes.set_axis_off()
    axes.set_aspect("equal")
    outside: Any = {"facecolor": "#f4f4f4", "edgecolor": "#cfcfcf", "hatch": "///", "linewidth": 0}
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, **outside))
    brightest = 255 if image.dtype == np.uint8 else 1.0
    shown = image[..., 0] if image.shape[-1] == 1 else image[..., :3]
    extent = (0, width, height, 0)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=brightest, extent=extent, zorder=2)
    # Endpoints that see the same share a frame; smaller frames lie on top of larger ones.
    names: dict[tuple[float, ...], list[str]] = {}
    for box in boxes:
        names.setdefault(box[1:], []).append(box.name)
    shared = sorted(names, key=lambda place: place[2] * place[3])
    for number, place in reversed(list(enumerate(shared))):
        at_top, at_left, high, across = place
        for color, line in (("white", 4.5), (COLORS[number % len(COLORS)], 2.6)):
            style: Any = {"fill": False, "edgecolor": color, "linewidth": line, "zorder": 3}
            patch = Rectangle((at_left, at_top), across, high, **style)
            axes.add_patch(patch)
        patch.set_label(textwrap.fill(f"{', '.join(names[place])}: {high:g}×{across:g}", 30))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],
        labels[::-1],
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        frameon=False,
        fontsize=11,
        title="receptive field",
        alignment="left",
    )
    axes.set_xlim(left - margin, right + margin)
    axes.set_ylim(bottom + margin, top - margin)
    return figure
