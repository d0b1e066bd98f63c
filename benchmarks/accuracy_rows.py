"""Rows of accuracy in `results/TOPIC.jsonl`, computed from the values of each seed.

    python benchmarks/accuracy_rows.py

Each line is {claim, config, metric, split, seeds, value, spread, paper, place, protocol, command,
steps, hardware, date, commit, source}. People write claim, config, metric, split, paper (the
published number), place (where it was published) and source, which is
`results/seeds/FILE.json::KEY::...`. This script computes the rest; what earlier files do not hold
is null. A source of null marks a number whose file was not kept. Fractions stay fractions;
documents print them as percentages. An `error` is one minus the accuracy that the source has.

It writes the tables of published numbers too: the rows of `results/published.jsonl` into
docs/results.md and, those of `HEAD`, into README.md, between marks.
"""

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
BEGIN, END = "<!-- published: begin -->\n", "<!-- published: end -->\n"
# Claims of the table in README, of those that have rows.
HEAD = (
    "MNIST, LeNet-5: error",
    "MNIST, LeNet-5 of 1998: error",
    "MNIST, LeNet-5 of 1998, distortions: error",
    "CIFAR-10, weights of ResNet-20: error",
    "CIFAR-10, ResNet-20, 30 epochs: error",
    "Omniglot, modified Hausdorff distance, Lake's runs: error",
    "Omniglot, triplets, Vinyals' split, 5-way one-shot: accuracy",
    "ESC-10, cnn10 of a quarter width, five folds: accuracy",
    "ORL faces, triplets, five images a person: error",
    "ORL faces, eigenfaces, five images a person: error",
    "Spoken digits, cnn6 of a quarter width: accuracy",
    "Spoken digits, CPC, linear probe of the digit, trained: accuracy",
    "Spoken digits, CPC, linear probe of the digit, random weights: accuracy",
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
    for name, rows in tables(read(published) if published.exists() else []).items():
        document = folder.parent / name
        document.write_text(with_table(document.read_text(), rows))


def tables(rows: list[dict]) -> dict[str, list[dict]]:
    """Return the rows that each document shows, if there are any."""
    shown = {"docs/results.md": rows, "README.md": [r for r in rows if r["claim"] in HEAD]}
    return {name: rows for name, rows in shown.items() if rows}


def with_table(text: str, rows: list[dict]) -> str:
    """Return a document with the table of these rows between its marks.

    Raises:
        ValueError: the document has no marks.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(
            f"no place for the table of published numbers between {BEGIN.strip()} and {END.strip()}"
        )
    before, rest = text.split(BEGIN)
    lines = ["| | published | here | runs | steps | config |", "|---|---|---|---|---|---|"]
    for row in rows:
        claim, _, metric = row["claim"].rpartition(": ")
        paper = f"{cell(row['paper'])}, {row['place']}" if row["paper"] is not None else ""
        config = row["config"].removeprefix("configs/").replace(".py", "")
        steps = f"{row['steps']:,}" if row["steps"] else ""
        here = f"{cell(row['value'], row['spread'])} | {row['seeds']} | {steps}"
        lines.append(f"| {claim}, {metric} | {paper} | {here} | `{config}` |")
    return before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END)[1]


def cell(value: float, spread: float | None = None) -> str:
    """Return a share as text, in percent with its standard deviation."""
    text = f"{100 * value:.2f}"
    return f"{text} %" if spread is None else f"{text} ± {100 * spread:.2f} %"


if __name__ == "__main__":
    refresh()
