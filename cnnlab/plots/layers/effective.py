"""The effective receptive field drawn: maps, a section, and how it grows with depth.

Luo et al. 2016, figures 1 and 3: Gaussian maps, growth like the root of the depth, and dilation.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cnnlab.analysis import effective_receptive_field as erf
from cnnlab.plots.style import BLUE, GREEN, ORANGE, plain_log_labels

DEPTHS = (1, 2, 3, 5, 8, 12, 16, 20)
DILATIONS = (1, 2, 4, 8, 16)

Map = Float[np.ndarray, "h w"]


def effective_figure(key: Array) -> Figure:
    """Return the figure: four maps; a section, growth of plain stacks, growth of dilated ones."""
    # One size of image for all, so that each convolution is compiled once.
    size = erf.theoretical(DILATIONS) + 2

    def measured(dilations: Sequence[int], **options) -> Map:
        channels = options.get("channels", 1)
        keys = jax.random.split(key)
        function = erf.stacked(dilations, keys[0], **options)
        samples = 1 if channels == 1 else 4
        shape = (size, size, channels)
        return erf.effective_receptive_field(function, shape, keys[1], samples=samples)

    plain = {depth: measured((1,) * depth) for depth in DEPTHS}
    counts = range(1, len(DILATIONS) + 1)
    dilated = {n: measured(DILATIONS[:n]) for n in counts}
    deepest = max(DEPTHS)
    nonlinear = measured((1,) * deepest, weights="random", activation=jax.nn.relu, channels=4)

    figure = Figure(figsize=(13, 7.6), dpi=110, layout="constrained")
    halves: Any = figure.subfigures(2, 1, height_ratios=(1, 1.05))
    top, below = halves
    few = DEPTHS[3]
    maps = {
        f"{few} layers of 3×3": (plain[few], erf.theoretical((1,) * few)),
        f"{deepest} layers of 3×3": (plain[deepest], erf.theoretical((1,) * deepest)),
        f"{deepest} layers, random, ReLU": (nonlinear, erf.theoretical((1,) * deepest)),
        f"{len(DILATIONS)} layers, dilations 1 to {DILATIONS[-1]}": (
            dilated[len(DILATIONS)],
            erf.theoretical(DILATIONS),
        ),
    }
    for axes, (name, (field, theory)) in zip(top.subplots(1, 4), maps.items(), strict=True):
        _draw_map(axes, name, field, theory)
    panels = below.subplots(1, 3)
    _draw_section(panels[0], plain[deepest], deepest)
    _draw_growth(panels[1], plain)
    _draw_dilated(panels[2], dilated)
    return figure


def _draw_map(axes: Axes, name: str, field: Map, theory: int) -> None:
    axes.imshow(field / field.max(), cmap="cividis", vmin=0, vmax=1)
    middle = len(field) // 2
    for side, style, label in ((theory, "--", "theoretical"), (erf.width(field), "-", "effective")):
        corner = middle - side / 2, middle - side / 2
        axes.add_patch(
            Rectangle(
                corner,
                side,
                side,
                fill=False,
                edgecolor="white",
                linewidth=1.5,
                linestyle=style,
                label=f"{label}: {side:.3g}",
            )
        )
    axes.set_title(name, fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(-0.5, len(field) - 0.5)
    axes.set_ylim(len(field) - 0.5, -0.5)
    legend = axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, fontsize=9, frameon=False
    )
    for handle in legend.get_patches():
        handle.set_edgecolor("#444444")


def _draw_section(axes: Axes, field: Map, depth: int) -> None:
    row = field[len(field) // 2]
    at = np.arange(len(row)) - len(row) // 2
    sigma = erf.gaussian_deviation((1,) * depth)
    fine = np.linspace(at[0], at[-1], 400)
    axes.fill_between(fine, np.exp(-((fine / sigma) ** 2) / 2), color=ORANGE, alpha=0.25, lw=0)
    axes.plot(at, row / row.max(), "o", ms=4, color=BLUE, label=f"{depth} layers, middle row")
    axes.plot(
        fine, np.exp(-((fine / sigma) ** 2) / 2), color=ORANGE, label=f"Gaussian, σ={sigma:.2f}"
    )
    half = erf.theoretical((1,) * depth) // 2
    for edge in (-half, half):
        axes.axvline(edge, color="#444444", linestyle="--", lw=1)
    axes.set_title("in the middle it is a Gaussian", fontsize=11)
    axes.set_xlabel("pixels from the middle (dashed: theoretical field)")
    axes.set_ylabel("gradient / largest")
    axes.legend(fontsize=9, loc="upper right", frameon=True, framealpha=1, edgecolor="none")
    axes.set_ylim(0, 1.3)


def _draw_growth(axes: Axes, plain: dict[int, Map]) -> None:
    depths = np.array(sorted(plain))
    found = np.array([erf.deviation(plain[n])[0] for n in depths])
    # Least squares of found = slope * sqrt(depth).
    slope = (found * np.sqrt(depths)).sum() / depths.sum()
    fine = np.linspace(0, depths[-1], 200)
    axes.plot(fine, slope * np.sqrt(fine), color=ORANGE, label=f"{slope:.3f} √n")
    axes.plot(depths, found, "o", color=BLUE, label="measured σ")
    axes.plot(
        fine, fine / 2, color="#444444", ls="--", lw=1, label="like the theoretical field, n/2"
    )
    axes.set_title("plain stacks grow like √n", fontsize=11)
    axes.set_xlabel("layers n of 3×3")
    axes.set_ylabel("standard deviation, pixels")
    axes.set_xticks(range(0, depths[-1] + 1, 5))
    axes.set_ylim(0, 1.8 * found[-1])
    axes.legend(fontsize=9, loc="lower right")
    axes.grid()


def _draw_dilated(axes: Axes, dilated: dict[int, Map]) -> None:
    counts = sorted(dilated)
    found = [erf.deviation(dilated[n])[0] for n in counts]
    plain = [erf.gaussian_deviation((1,) * n) for n in counts]
    theory = [erf.gaussian_deviation(DILATIONS[:n]) for n in counts]
    axes.semilogy(counts, theory, color=ORANGE, base=2, label="√(Σ d² (k² − 1) / 12)")
    axes.semilogy(
        counts, found, "o", color=BLUE, base=2, label="measured σ, dilations 1, 2, 4, ..."
    )
    axes.semilogy(counts, plain, "s--", color=GREEN, ms=4, lw=1, base=2, label="plain stack")
    plain_log_labels(axes)
    axes.set_title("dilated stacks grow exponentially", fontsize=11)
    axes.set_xlabel("layers n of 3×3")
    axes.set_ylabel("standard deviation, pixels")
    axes.set_xticks(counts)
    axes.legend(fontsize=9, loc="upper left")
    axes.grid()
