"""Figures of a sweep: the metric against each parameter, parallel coordinates, curves."""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from cnnlab.metrics.formatting import format_value
from cnnlab.plots import style
from cnnlab.sweeps import report_axes
from cnnlab.sweeps.summary import Row, Summary

BEST, DONE, OTHER = style.ORANGE, style.BLUE, "0.6"
# Pale colors would be lost on white.
COLORS = ListedColormap(mpl.colormaps["YlGnBu"](np.linspace(0.3, 1, 256)))


def metric_by_parameter(summary: Summary) -> Figure:
    """Return the metric of every trial against each parameter, one panel a parameter."""
    rows = [row for row in summary.rows if row.value is not None]
    figure, panels = style.panels(len(summary.parameters), width=3.6, height=2.8)
    best = _best(summary)
    low, high = _limits(summary)
    stars, triangle = _numbers(best), "v" if summary.metric.sign > 0 else "^"
    groups: list[tuple[str, list[Row], dict[str, Any]]] = [
        (
            "not finished",
            [r for r in rows if not r.counts],
            {"facecolors": "none", "edgecolors": OTHER, "s": 16},
        ),
        (
            "finished",
            [r for r in rows if r.counts and r.trial.number not in stars],
            {"color": DONE, "alpha": 0.6},
        ),
        ("best", best, {"color": BEST, "marker": "*", "s": 130, "zorder": 3}),
    ]
    for parameter, axes in zip(summary.parameters, panels, strict=True):
        for _, chosen, look in groups:
            where = np.array(
                [parameter.position(summary.setting(r, parameter.name)) for r in chosen]
            )
            values = np.array([r.value for r in chosen], float)
            if chosen is not best:
                where = where + report_axes.jitter(parameter, len(where))
            within = (low <= values) & (values <= high)
            axes.scatter(where[within], values[within], **{"s": 26, **look})
            # What lies beyond the axis is drawn at its edge.
            edges = np.clip(values[~within], low, high)
            axes.scatter(where[~within], edges, **{"s": 26, **look, "marker": triangle})
        tried = [parameter.position(summary.setting(r, parameter.name)) for r in rows]
        report_axes.scale(axes, parameter, np.array(tried))
        axes.set(xlabel=_wrapped(parameter.name), ylim=_margin(low, high))
        style.percent(axes.yaxis, summary.metric.name)
        if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            axes.set_ylabel(summary.metric.name)
        axes.grid()
        axes.set_axisbelow(True)
    # What each mark means; apart from the panels, which hold the points alone.
    key = Figure().add_subplot()
    shown = [(name, {"s": 26, **look}) for name, chosen, look in reversed(groups) if chosen]
    outside = sum(not low <= row.value <= high for row in rows if row.value is not None)
    if outside:
        shown.append((f"{outside} beyond the axis", {"color": DONE, "marker": triangle}))
    handles, names = [key.scatter([], [], **look) for _, look in shown], [name for name, _ in shown]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    figure.suptitle(_title(summary))
    return figure


def parallel_coordinates(summary: Summary) -> Figure:
    """Return every finished trial as a line across one axis a parameter, and one for the metric.

    The color is the metric's, as on its axis; the lines of the best are thick.
    """
    parameters, best = summary.parameters, _best(summary)
    top = _numbers(best)
    rows = sorted(
        (row for row in summary.rows if row.counts),
        # The best are drawn last, on top.
        key=lambda row: (row.trial.number in top, summary.metric.sign * (row.value or 0.0)),
    )
    low, high = _limits(summary)
    last = len(parameters)
    figure = Figure(figsize=(1.9 * (last + 1) + 1.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    heights, widest = [], []
    for place, parameter in enumerate(parameters):
        positions = np.array(
            [parameter.position(summary.setting(row, parameter.name)) for row in rows]
        )
        scaled, ticks = report_axes.unit(parameter, positions)
        heights.append(scaled)
        texts = [textwrap.shorten(text, 16, placeholder="…") for _, text in ticks]
        widest.append(max(map(len, texts)))
        for (height, _), text in zip(ticks, texts, strict=True):
            # Lines end at the tick from the left: the label stands above their ends.
            _tick(axes, place - 0.04, height, text, "right", above=place > 0)
    reached = np.array([row.value for row in rows], float)
    values, norm = np.clip(reached, low, high), Normalize(low, high)
    heights.append(norm(values))
    for height in np.linspace(0, 1, 5):
        text = format_value(summary.metric.name, float(low + height * (high - low)))
        if height in (0, 1) and (reached < low if height == 0 else reached > high).any():
            text = f"{'≤' if height == 0 else '≥'} {text}"
        _tick(axes, last + 0.08, height, text, "left")
    # Of each trial a piece between any two axes.
    pieces = [
        [(place, heights[place][line]), (place + 1, heights[place + 1][line])]
        for line in range(len(rows))
        for place in range(last)
    ]
    colors = COLORS if summary.metric.sign > 0 else COLORS.reversed()
    thick = np.repeat([row.trial.number in top for row in rows], last)
    lines = LineCollection(
        pieces,
        cmap=colors,
        norm=norm,
        linewidth=np.where(thick, 4.0, 1.1),
        alpha=np.where(thick, 1.0, 0.7),
        capstyle="round",
    )
    lines.set_array(np.repeat(values, last))
    axes.add_collection(lines)
    for place in range(last + 1):
        axes.axvline(place, color=style.INK, linewidth=1, zorder=3)
    # The metric's axis is the key to the colors.
    strip = np.linspace(1, 0, 256)[:, None]
    axes.imshow(strip, cmap=colors, aspect="auto", extent=(last, last + 0.05, 0, 1))
    labels = [*(_wrapped(p.name, 17) for p in parameters), _wrapped(summary.metric.name, 17)]
    axes.set_xticks(range(last + 1), labels)
    axes.tick_params(axis="x", length=0, pad=8)
    axes.set(yticks=[], xlim=(-max(0.45, 0.06 + 0.04 * widest[0]), last + 0.5), ylim=(-0.04, 1.04))
    axes.spines[:].set_visible(False)
    axes.set_title(
        f"{_title(summary)}\nthick: the best; colors: {summary.metric.name}, as on the last axis"
    )
    return figure


def learning_curves(summary: Summary) -> Figure:
    """Return the metric of every trial over its steps, the best on top."""
    best = _best(summary)
    top = _numbers(best)
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel=summary.metric.name)
    groups = {
        "finished": [r for r in summary.rows if r.counts and r.trial.number not in top],
        "running or waiting": summary.in_state("running", "waiting"),
        "pruned": summary.in_state("pruned"),
        "failed": summary.in_state("failed"),
    }
    colors = dict(zip(groups, (DONE, style.GREEN, OTHER, style.PINK), strict=True))
    for name, group in groups.items():
        curves = [row.curve for row in group if row.curve]
        if not curves:
            continue
        alpha = max(0.15, min(0.6, 12 / len(curves)))
        axes.add_collection(LineCollection(curves, color=colors[name], linewidth=1, alpha=alpha))
        # A dot at the end shows a curve of one point too; its label stands for the group.
        steps, values = zip(*(curve[-1] for curve in curves), strict=True)
        label = f"{name} ({len(curves)})"
        axes.scatter(steps, values, s=10, color=colors[name], label=label, zorder=2)
    for row in best:
        axes.plot(*zip(*row.curve, strict=True), color=BEST, linewidth=2, zorder=4)
        axes.scatter([row.step or 0], [row.value or 0.0], color=BEST, marker="*", s=110, zorder=5)
    if best:
        names = ", ".join(row.trial.name for row in best)
        axes.plot([], [], color=BEST, linewidth=2, marker="*", markersize=9, label=f"best: {names}")
    axes.autoscale()
    all_values = [value for row in summary.rows for _, value in row.curve]
    least = min(all_values)
    if summary.metric.sign < 0 and least > 0 and max(all_values) >= 10 * least:
        axes.set_yscale("log")
        style.plain_log_labels(axes)
    style.percent(axes.yaxis, summary.metric.name)
    axes.set_xlim(left=0)
    axes.grid()
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    metric = summary.metric.name
    axes.set_title(f"{metric} of each trial over its steps; {_finished(summary)}")
    return figure


def _best(summary: Summary) -> list[Row]:
    return [row for row in summary.ranked[0].rows if row.counts] if summary.ranked else []


def _numbers(rows: Sequence[Row]) -> set[int]:
    return {row.trial.number for row in rows}


def _title(summary: Summary) -> str:
    metric = summary.metric
    which = f"{metric.kind} value of each run"
    direction = "more is better" if metric.sign > 0 else "less is better"
    return f"{metric.name}, {which} ({direction}); {_finished(summary)}"


def _finished(summary: Summary) -> str:
    return f"{len(summary.in_state('finished')):,} of {len(summary.rows):,} finished"


def _limits(summary: Summary) -> tuple[float, float]:
    """Return ends of an axis that shows the good trials apart, whatever became of the worst."""
    values = np.array([row.value for row in summary.rows if row.value is not None], float)
    counted = np.array([row.value for row in summary.rows if row.counts], float)
    counted = counted if len(counted) else values
    sign = summary.metric.sign
    best = sign * np.max(sign * counted)
    worst = best - sign * 4 * abs(best - np.median(counted))
    low, high = min(values.min(), best), max(values.max(), best)
    if worst != best:
        low, high = (max(low, worst), high) if sign > 0 else (low, min(high, worst))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _margin(low: float, high: float) -> tuple[float, float]:
    return low - 0.06 * (high - low), high + 0.06 * (high - low)


def _tick(
    axes: Axes, x: float, height: float, text: str, side: str, *, above: bool = False
) -> None:
    where: dict[str, Any] = {"ha": side, "va": "bottom" if above else "center"}
    label = axes.text(x, height + 0.012 * above, text, fontsize=8, zorder=6, **where)
    # Other lines pass behind it.
    label.set_path_effects([withStroke(linewidth=3, foreground="white")])


def _wrapped(name: str, width: int = 40) -> str:
    """Return a dotted name on lines of a width, broken after its dots."""
    lines = [""]
    for part in name.replace(".", ".\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
