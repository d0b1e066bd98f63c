"""Axes of a sweep's figures: places of a parameter's values, and ticks at what was tried."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import Locator, LogLocator, MaxNLocator

from cnnlab.plots import style
from cnnlab.sweeps.summary import Parameter, short

# Up to so many values that were tried have a tick each.
TICKED = 7


def jitter(parameter: Parameter, count: int) -> np.ndarray:
    """Return small shifts, the same each time, that keep trials of a category apart."""
    wide = 0.22 if parameter.scale == "category" else 0.0
    return wide * (np.arange(count) * 0.618034 % 1 - 0.5)


def scale(axes: Axes, parameter: Parameter, positions: np.ndarray) -> None:
    """Scale the x axis of a panel; few values that were tried have a tick each."""
    tried = np.unique(positions)
    if parameter.scale == "log":
        axes.set_xscale("log")
        style.plain_log_labels(axes)
    if parameter.scale != "category" and len(tried) <= TICKED:
        low, high = axes.transScale.transform([(tried[0], 1), (tried[-1], 1)])[:, 0]
        at = [(axes.transScale.transform((x, 1))[0] - low) / ((high - low) or 1) for x in tried]
        kept = _apart(at, 0.12)
        axes.set_xticks(tried[kept], [_number(x) for x in tried[kept]])
        axes.minorticks_off()
    elif parameter.scale == "linear":
        axes.locator_params(axis="x", nbins=6)
    elif parameter.scale == "category":
        names = [textwrap.shorten(name, 24, placeholder="…") for name in parameter.categories]
        crowded = sum(map(len, names)) > 30
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=40 if crowded else 0,
            ha="right" if crowded else "center",
            rotation_mode="anchor",
            fontsize=8 if crowded else 9,
        )
        axes.set_xlim(-0.5, len(names) - 0.5)


def unit(
    parameter: Parameter, positions: np.ndarray
) -> tuple[np.ndarray, Sequence[tuple[float, str]]]:
    """Return positions on an axis from 0 to 1, and its ticks."""
    if parameter.scale == "category":
        last = max(1, len(parameter.categories) - 1)
        names = enumerate(parameter.categories)
        return positions / last, [(place / last, name) for place, name in names]
    norm = (LogNorm if parameter.scale == "log" else Normalize)(positions.min(), positions.max())
    if positions.min() == positions.max():
        return np.full(len(positions), 0.5), [(0.5, short(float(positions[0])))]
    ticks = np.unique(positions)
    if len(ticks) > TICKED:
        ticks = _round(norm)
    heights = norm(ticks)
    kept = _apart(heights.tolist(), 0.045)
    return norm(positions), [(float(heights[i]), _number(ticks[i])) for i in kept]


def _round(norm: Normalize) -> np.ndarray:
    """Return round values within the ends of an axis, at least two."""
    low, high = float(norm.vmin or 0), float(norm.vmax or 0)
    locators: list[Locator] = [MaxNLocator(6)]
    if isinstance(norm, LogNorm):
        locators = [*(LogLocator(subs=subs) for subs in ((1.0,), (1.0, 3.0))), *locators]
    for locator in locators:
        found = np.asarray(locator.tick_values(low, high))
        found = found[(low <= found) & (found <= high)]
        if len(found) >= 3:
            break
    return found


def _apart(places: Sequence[float], least: float) -> list[int]:
    """Return which of rising places to name so that names are apart."""
    kept: list[int] = []
    for index, place in enumerate(places):
        if not kept or place - places[kept[-1]] >= least:
            kept.append(index)
    return kept


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e5 else f"{value:.3g}"
