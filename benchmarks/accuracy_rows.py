"""Rows of accuracy in `results/TOPIC.jsonl`, computed from the values of each seed.

    python benchmarks/accuracy_rows.py

Each line is {claim, config, metric, split, seeds, value, spread, paper, place, protocol, command,
steps, hardware, date, commit, source}. People write claim, config, metric, split, paper (the
published number), place (where it was published) and source, which is
`results/seeds/FILE.json::KEY::...`. This script computes the rest; what earlier files do not hold
is null. A source of null marks a number whose file was not kept. Fractions stay fractions;
documents print them as percentages. An `error` is one minus the accuracy that the source has.
"""

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"


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


if __name__ == "__main__":
    refresh()
