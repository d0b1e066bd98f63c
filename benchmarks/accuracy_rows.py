"""Rows of accuracy in `results/TOPIC.jsonl`, computed from the values of each seed.

    python benchmarks/accuracy_rows.py

Each line is {claim, config, metric, split, seeds, value, spread, paper, place, protocol, command,
steps, hardware, date, commit, source}. People write claim, config, metric, split, paper (the
published number), place (where it was published) and source, which is
`results/seeds/FILE.json::KEY::...`. This script computes the rest; what earlier files do not hold
is null. A source of null marks a number whose file was not kept. Fractions stay fractions;
documents print them as percentages. An `error` is one minus the accuracy that the source has.

It writes the table of published numbers too: the rows of `results/published.jsonl` into
docs/results.md and, those of `HEAD`, into README.md.
"""

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
BEGIN, END = "<!-- published: begin -->\n", "<!-- published: end -->\n"
# Claims of the table in README.
HEAD = (
    "MNIST, LeNet-5: test error",
    "MNIST, LeNet-5 of 1998: test error",
    "MNIST, LeNet-5 of 1998 with distortions: test error",
    "CIFAR-10, published weights of ResNet-20: test error",
    "CIFAR-10, ResNet-20, 30 epochs: test error",
    "Omniglot, siamese network: 20-way one-shot error",
)


def read(topic: Path) -> list[dict]:
    """Return the rows of one file."""
    return [json.loads(line) for line in topic.read_text().splitlines()]


def computed(row: dict) -> dict:
    """Return the row with value, spread (n - 1), seeds, protocol and command of its source."""
    if row["source"] is None:
        return row
    file, *keys = row["source"].split("::")
    record = json.loads((ROOT / file).read_text())
    found = record
    for key in keys:
        found = found[key]
    values = found["values"] if isinstance(found, dict) else [found]
    if row["metric"] == "error":
        values = [1 - value for value in values]
    return row | {
        "seeds": len(values),
        "value": statistics.mean(values),
        "spread": statistics.stdev(values) if len(values) > 1 else None,
        "protocol": record["protocol"],
        "command": record["command"],
        **{key: record.get(key) for key in ("steps", "hardware", "date", "commit")},
    }


def refresh(folder: Path = RESULTS) -> None:
    """Compute all rows again and write them."""
    for topic in sorted(folder.glob("*.jsonl")):
        lines = [json.dumps(computed(row), ensure_ascii=False) for row in read(topic)]
        topic.write_text("\n".join(lines) + "\n")
    published = folder / "published.jsonl"
    if published.exists():
        for name, rows in tables(read(published)).items():
            document = folder.parent / name
            document.write_text(with_table(document.read_text(), rows))


def tables(rows: list[dict]) -> dict[str, list[dict]]:
    """Return the rows that each document shows."""
    return {
        "docs/results.md": rows,
        "README.md": [row for row in rows if row["claim"] in HEAD],
    }


def with_table(text: str, rows: list[dict]) -> str:
    """Return a document with the table of these rows between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    lines = ["| | published | here | config |", "|---|---|---|---|"]
    for row in rows:
        paper = f"{cell(row['paper'])}, {row['place']}" if row["paper"] is not None else ""
        value = cell(row["value"], row["spread"])
        config = row["config"].removeprefix("configs/").replace(".py", "")
        lines.append(f"| {row['claim']} | {paper} | {value} | `{config}` |")
    return before + begin + "\n".join(lines) + "\n" + end + after


def cell(value: float, spread: float | None = None) -> str:
    """Return a share as text, in percent with its standard deviation."""
    text = f"{100 * value:.2f}"
    return f"{text} %" if spread is None else f"{text} ± {100 * spread:.2f} %"


if __name__ == "__main__":
    refresh()
