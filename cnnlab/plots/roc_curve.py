"""Figure of receiver operating characteristics: same pairs against different pairs accepted."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cnnlab.plots.run_figures import _save, legend


def roc_curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path, *, title: str = ""
) -> None:
    """Draw ROC curves: true against false accepts, these also on a logarithmic scale.

    Args:
        curves: (false accepts, true accepts) of each, by the name for the legend.
        path: where the PNG goes.
        title: of the figure.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    if title:
        figure.suptitle(title)
    least = min([1e-1, *(float(x[x > 0].min()) for x, _ in curves.values() if (x > 0).any())])
    for number, scale in enumerate(("linear", "log"), start=1):
        axes = figure.add_subplot(1, 2, number, xscale=scale, ylim=(0, 1.01))
        axes.set(xlabel="different pairs accepted", ylabel="same pairs accepted")
        line = np.geomspace(least, 1, 100) if scale == "log" else np.array([0.0, 1.0])
        axes.plot(line, line, color="gray", linestyle=":", linewidth=1, label="chance")
        for name, (x, y) in curves.items():
            axes.plot(x, y, label=name, linewidth=1.5)
        axes.set_xlim(least if scale == "log" else -0.01, 1)
        axes.grid(alpha=0.3)
        if scale == "linear":
            legend(axes, axes.lines, ["chance", *curves], loc="lower right")
    _save(figure, path)
