"""Learning curves of a run: a panel a metric, a color a split, the best checkpoint, baselines."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from cnnlab.metrics.curve import Curve
from cnnlab.metrics.direction import words
from cnnlab.metrics.formatting import format_value, is_share, natural
from cnnlab.plots import style

# Up to so many points each has a marker: one alone would be no line.
MARKED = 25
# What is drawn on a logarithmic axis once it spans a decade, by the last word of its name.
LOGARITHMIC = ("loss", "norm", "nll", "perplexity", "error")
RATE = "learning_rate"

Series = dict[str, list[tuple[int, float]]]
Baselines = Mapping[str, Mapping[str, float]]


def learning_curves(
    rows: Iterable[Mapping[str, Any]],
    *,
    title: str = "",
    schedule: tuple[Callable[[int], float], int] | None = None,
    best: tuple[str, int] | None = None,
    baselines: Baselines | None = None,
) -> Figure | None:
    """Return every metric of `metrics.jsonl` over the steps; None where there is nothing to draw.

    Args:
        rows: of `metrics.jsonl`.
        title: of the figure.
        schedule: of the learning rate, and its number of steps; None: the rates on record.
        best: metric that the best checkpoint was chosen by, as `split/metric`, and its step.
        baselines: values by name, then by `split/metric`.
    """
    panels = _panels(rows)
    if schedule is not None and panels:
        rate, steps = schedule
        panels[RATE] = {"": rates(rate, steps)}
    if not panels:
        return None
    names = sorted(panels, key=_order)
    splits = list(dict.fromkeys(split for name in names for split in panels[name] if split))
    splits.sort(key=lambda split: split != "train")
    colors = {split: style.CYCLE[i % len(style.CYCLE)] for i, split in enumerate(splits)}
    # All panels have the same steps below them.
    end = max(step for series in panels.values() for line in series.values() for step, _ in line)
    figure, drawn = style.panels(len(names))
    for name, axes in zip(names, drawn, strict=True):
        axes.set_title(name)
        _draw(axes, name, panels[name], colors)
        axes.set_xlim(-0.02 * end, 1.02 * end)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
        if axes.get_subplotspec().is_last_row():  # type: ignore[union-attr]
            axes.set_xlabel("step")
        _mark(axes, name, panels[name], best, colors)
        _baselines(axes, name, baselines or {})
    handles = [Line2D([], [], color=colors[split], linewidth=1.6) for split in splits]
    labels = list(splits)
    if best is not None:
        star: dict[str, Any] = {"marker": "*", "markersize": 9, "markeredgecolor": "white"}
        handles.append(Line2D([], [], color=style.INK, linestyle=":", linewidth=1, **star))
        labels.append(f"best checkpoint by {best[0]}: step {best[1]}")
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    if title:
        figure.suptitle(title, weight="bold")
    return figure


def rates(rate: Callable[[int], float], steps: int) -> list[tuple[int, float]]:
    """Return (step, learning rate) of a run from step 0 to its last."""
    at = np.unique(np.linspace(0, steps, min(steps + 1, 1000)).astype(int))
    return [(int(step), float(rate(int(step)))) for step in at]


def _panels(rows: Iterable[Mapping[str, Any]]) -> dict[str, Series]:
    found: dict[str, dict[str, Curve]] = {}
    for row in rows:
        for name, value in row.items():
            split, _, metric = name.rpartition("/")
            if name in ("step", "epoch") or split == "time" or not math.isfinite(value):
                continue
            curve = found.setdefault(metric, {}).setdefault(split, Curve())
            curve.add(int(row["step"]), value)
    return {
        metric: {split: curve.points for split, curve in curves.items()}
        for metric, curves in found.items()
    }


def _order(metric: str) -> tuple[int, list[tuple[int, float, str]]]:
    """Return what sorts the loss first, then shares, and what only diagnoses last."""
    last = {"grad_norm": 3, RATE: 4}
    place = 0 if words(metric)[-1] == "loss" else 1 if is_share(metric) else 2
    return last.get(metric, place), natural(metric)


def _draw(axes: Axes, metric: str, series: Series, colors: Mapping[str, str]) -> None:
    for split in sorted(series, key=lambda split: split != "train"):
        steps, values = zip(*series[split], strict=True)
        marker = "o" if len(steps) <= MARKED and metric != RATE else None
        color = colors.get(split, style.INK)
        axes.plot(steps, values, color=color, linewidth=1.4, marker=marker, markersize=3)
    drawn = [value for line in series.values() for _, value in line]
    if words(metric)[-1] in LOGARITHMIC and min(drawn) > 0 and max(drawn) >= 10 * min(drawn):
        axes.set_yscale("log")
        style.plain_log_labels(axes)
    style.percent(axes.yaxis, metric)
    axes.grid()
    axes.set_axisbelow(True)


def _mark(
    axes: Axes,
    metric: str,
    series: Series,
    best: tuple[str, int] | None,
    colors: Mapping[str, str],
) -> None:
    """Mark the best checkpoint: its step everywhere, its value on the curve that chose it."""
    if best is None:
        return
    name, step = best
    axes.axvline(step, color=style.INK, linestyle=":", linewidth=0.8)
    split, _, chosen = name.rpartition("/")
    value = dict(series.get(split, [])).get(step) if chosen == metric else None
    if value is not None:
        color = colors.get(split, style.INK)
        axes.plot(step, value, "*", markersize=11, color=color, markeredgecolor=style.INK)


def _baselines(axes: Axes, metric: str, baselines: Baselines) -> None:
    """Draw baselines as lines with their names; those far off are named at the edge."""
    shown: dict[tuple[float, str], list[str]] = {}
    for name, values in baselines.items():
        for key, value in values.items():
            split, _, own = key.rpartition("/")
            if own == metric and math.isfinite(value):
                shown.setdefault((value, split), []).append(name)
    if not shown:
        return
    low, high = axes.get_ylim()
    room = 0.6 * (high - low)
    near = {value for value, _ in shown if low - room <= value <= high + room}
    for value in near:
        axes.axhline(value, color=style.FAINT, linewidth=0.8, linestyle=(0, (5, 2)), zorder=1)
    # With the lines, whose heights place their names.
    low, high = axes.get_ylim()
    above = 1.0
    for value, split in sorted(shown, reverse=True):
        text = f"{', '.join(shown[value, split])} {format_value(metric, value)} ({split})"
        if value in near:
            point = axes.transScale.transform((0.0, value))
            height = float(axes.transLimits.transform(point)[1])
            # Curves end above a line that is high.
            height += -0.1 if height > 0.5 else 0.015
        else:
            height, text = (1.0, f"↑ {text}") if value > high else (0.0, f"↓ {text}")
        # Names of lines that lie close stand one below the other.
        height = above = max(0.015, min(height, above - 0.075, 0.93))
        where: dict[str, Any] = {"transform": axes.transAxes, "ha": "right"}
        label = axes.text(0.97, height, text, fontsize=7.5, color=style.FAINT, **where)
        label.set_path_effects([withStroke(linewidth=2.0, foreground="white")])
