"""Draw the test error of the published baselines over their training: docs/published_curves.png.

    python benchmarks/published_curves.py

The curves are those of the rows of `results/published.jsonl`, as `benchmarks/seeds.py` wrote them:
mean and standard deviation over seeds, dashed the paper's number.
"""

import json
from collections import defaultdict

import accuracy_rows
import numpy as np
import timing  # noqa: F401  (finds the package of this checkout)

from cnnlab.plots import style


def main() -> None:
    panels = defaultdict(list)
    for row in accuracy_rows.read(accuracy_rows.RESULTS / "published.jsonl"):
        name, keys = (row["source"] or "").partition("::")[::2]
        record = json.loads((accuracy_rows.ROOT / name).read_text()) if name else {}
        if len(record.get("curve", [])) > 3 and keys == "results::test/accuracy":
            data, _, what = row["claim"].rpartition(": ")[0].partition(", ")
            paper = row["paper"]
            if paper is not None and row["metric"] == "accuracy":
                paper = 1 - paper
            panels[data].append((what, np.array(record["curve"]), paper))
    figure, axes = style.panels(len(panels), width=4.5, height=3.6)
    for (data, curves), ax in zip(panels.items(), axes, strict=True):
        for n, (what, curve, paper) in enumerate(curves):
            color = style.CYCLE[n % len(style.CYCLE)]
            # As parts of the run: batches and epochs differ.
            part, error = curve[:, 0] / curve[-1, 0], 1 - curve[:, 1]
            ax.plot(part, error, color=color, label=what)
            low, high = np.maximum(error - curve[:, 2], 1e-4), error + curve[:, 2]
            ax.fill_between(part, low, high, color=color, alpha=0.2, linewidth=0)
            if paper is not None:
                ax.axhline(paper, color=color, linestyle="--", linewidth=0.8)
        ax.set(title=data, xlabel="part of the run", yscale="log")
        style.percent(ax.yaxis, "accuracy")
        ax.set_ylabel("test error")
        ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=2)
    style.save(figure, accuracy_rows.ROOT / "docs" / "published_curves.png")


if __name__ == "__main__":
    main()
