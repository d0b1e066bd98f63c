"""Figures of a sweep: the metric against each parameter, parallel coordinates, curves."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from cnnlab.plots.style import plain_log_labels
from cnnlab.sweeps.summary import Parameter, Row, Summary, short

BEST = "crimson"
DONE = "tab:blue"
OTHER = "0.6"


def metric_by_parameter(summary: Summary) -> Figure:
    """Return the metric of every trial against each parameter, one panel a parameter."""
    names, rows = summary.parameters, [row for row in summary.rows if row.value is not None]
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(4.4 * columns + 0.6, 3.4 * lines + 0.6), layout="constrained")
    best = _best(summary)
    low, high = _limits(summary)
    stars, beyond = _numbers(best), "v" if summary.metric.sign > 0 else "^"
    groups: list[tuple[list[Row], dict[str, Any]]] = [
        ([r for r in rows if not r.counts], {"facecolors": "none", "edgecolors": OTHER, "s": 16}),
        (
            [r for r in rows if r.counts and r.trial.number not in stars],
            {"color": DONE, "alpha": 0.6},
        ),
        (best, {"color": BEST, "marker": "*", "s": 130, "zorder": 3}),
    ]
    for number, parameter in enumerate(names, start=1):
        axes = figure.add_subplot(lines, columns, number)
        for chosen, style in groups:
            where = np.array(
                [parameter.position(summary.setting(r, parameter.name)) for r in chosen]
            )
            values = np.array([r.value for r in chosen], float)
            if chosen is not best:
                where = where + _jitter(parameter, len(where))
            within = (low <= values) & (values <= high)
            axes.scatter(where[within], values[within], **{"s": 26, **style})
            # What lies beyond the axis is drawn at its edge.
            edges = np.clip(values[~within], low, high)
            axes.scatter(where[~within], edges, **{"s": 26, **style, "marker": beyond})
        _scale(axes, parameter)
        axes.set(xlabel=_wrapped(parameter.name), ylim=_margin(low, high))
        if (number - 1) % columns == 0:
            axes.set_ylabel(summary.metric.name)
        axes.grid(alpha=0.3)
    outside = sum(not low <= row.value <= high for row in rows if row.value is not None)
    beyond = f"; triangles: {outside} beyond the axis" if outside else ""
    partial = "; hollow: not finished" if any(not row.counts for row in rows) else ""
    figure.suptitle(f"{_title(summary)}\nstar: the best{partial}{beyond}", fontsize=11)
    return figure


def parallel_coordinates(summary: Summary) -> Figure:
    """Return every finished trial as a line across one axis a parameter, and one for the metric."""
    parameters, best = summary.parameters, _best(summary)
    top = _numbers(best)
    rows = sorted(
        (row for row in summary.rows if row.counts),
        # The best are drawn last, on top.
        key=lambda row: (row.trial.number in top, summary.metric.sign * (row.value or 0.0)),
    )
    low, high = _limits(summary)
    columns = []
    figure = Figure(figsize=(1.9 * (len(parameters) + 1) + 1.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    for place, parameter in enumerate(parameters):
        positions = np.array(
            [parameter.position(summary.setting(row, parameter.name)) for row in rows]
        )
        scaled, ticks = _unit(parameter, positions)
        columns.append(scaled)
        for height, text in ticks:
            _tick(axes, place, height, text)
    reached = np.array([row.value for row in rows], float)
    values, norm = np.clip(reached, low, high), Normalize(low, high)
    columns.append(norm(values))
    for height in np.linspace(0, 1, 5):
        text = short(float(low + height * (high - low)))
        if height in (0, 1) and (reached < low if height == 0 else reached > high).any():
            text = f"{'≤' if height == 0 else '≥'} {text}"
        _tick(axes, len(parameters), height, text, right=True)
    across = np.arange(len(columns))
    segments = [np.column_stack((across, line)) for line in np.column_stack(columns)]
    lines = LineCollection(
        segments, cmap="viridis" if summary.metric.sign > 0 else "viridis_r", norm=norm
    )
    lines.set_array(values)
    lines.set_linewidth(1.0)
    lines.set_alpha(0.75)
    axes.add_collection(lines)
    for segment in segments[len(segments) - len(best) :]:
        axes.plot(*segment.T, color=BEST, linewidth=2.8, zorder=4)
    for place in range(len(columns)):
        axes.axvline(place, color="0.3", linewidth=1, zorder=3)
    labels = [*(_wrapped(p.name, 17) for p in parameters), _wrapped(summary.metric.name, 17)]
    axes.set_xticks(across, labels, fontsize=9)
    axes.tick_params(axis="x", length=0, pad=8)
    axes.set(yticks=[], xlim=(-0.45, len(parameters) + 0.45), ylim=(-0.04, 1.04))
    axes.spines[:].set_visible(False)
    axes.set_title(f"{_title(summary)}; red: the best", fontsize=11)
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
    colors = dict(zip(groups, (DONE, "tab:green", OTHER, "tab:orange"), strict=True))
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
    if summary.metric.sign < 0 and least > 0 and max(all_values) > 30 * least:
        axes.set_yscale("log")
        plain_log_labels(axes)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    axes.set_title(_title(summary), fontsize=11)
    return figure


def _best(summary: Summary) -> list[Row]:
    return [row for row in summary.ranked[0].rows if row.counts] if summary.ranked else []


def _numbers(rows: Sequence[Row]) -> set[int]:
    return {row.trial.number for row in rows}


def _title(summary: Summary) -> str:
    metric = summary.metric
    which = f"{metric.kind} value of each run"
    finished = len(summary.in_state("finished"))
    direction = "more is better" if metric.sign > 0 else "less is better"
    return f"{metric.name}, {which} ({direction}); {finished} of {len(summary.rows)} finished"


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


def _jitter(parameter: Parameter, count: int) -> np.ndarray:
    """Return small shifts, the same each time, that keep trials of a category apart."""
    wide = 0.22 if parameter.scale == "category" else 0.0
    return wide * (np.arange(count) * 0.618034 % 1 - 0.5)


def _scale(axes: Axes, parameter: Parameter) -> None:
    if parameter.scale == "log":
        axes.set_xscale("log")
        plain_log_labels(axes)
    elif parameter.scale == "category":
        names = [textwrap.shorten(name, 24, placeholder="…") for name in parameter.categories]
        crowded = sum(map(len, names)) > 30
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=30 if crowded else 0,
            ha="right" if crowded else "center",
            rotation_mode="anchor",
            fontsize=9,
        )
        axes.set_xlim(-0.5, len(names) - 0.5)


def _unit(
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
    distinct = np.unique(positions)
    if len(distinct) > 6:
        distinct = norm.inverse(np.linspace(0, 1, 5))
    return norm(positions), [(float(norm(value)), _number(value)) for value in distinct]


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e5 else f"{value:.3g}"


def _tick(axes: Axes, place: int, height: float, text: str, right: bool = False) -> None:
    axes.text(
        place + (0.05 if right else -0.05),
        height,
        textwrap.shorten(text, 16, placeholder="…"),
        ha="left" if right else "right",
        va="center",
        fontsize=8,
        zorder=6,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )


def _wrapped(name: str, width: int = 40) -> str:
    """Return a dotted name on lines of a width, broken after its dots."""
    lines = [""]
    for part in name.replace(".", ".\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
