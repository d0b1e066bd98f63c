"""Tables of models and of the stages of a model: columns, sorting, and output as text.

A row is a dict of plain values. Counts are exact integers, for one image; a receptive field or
stride is one number, or [vertical, horizontal] where they differ, and None where it covers
everything or is undefined. Nothing here needs JAX: a listing from a file is printed without it.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cnnlab.errors import UserError
from cnnlab.utils.registry import suggest

COLUMNS = {
    "name": "model",
    "parameters": "parameters",
    "macs": "MACs",
    "activations": "activations",
    "receptive_field": "field",
    "stride": "stride",
    "input": "input",
    "paper": "paper",
    "paper_top1": "paper top-1",
    "paper_top5": "paper top-5",
    "protocol": "measured on",
}
STAGE_COLUMNS = {
    "endpoint": "endpoint",
    "shape": "shape",
    "parameters": "parameters",
    "macs": "MACs",
    "activations": "activations",
    "receptive_field": "field",
    "stride": "stride",
}
TEXT = {"name", "endpoint", "paper", "protocol"}

Cells = dict[str, Any]


def total_row(model: Cells) -> Cells:
    """Return the row `total` of the stages of a model, given the row of the model."""
    return dict.fromkeys(STAGE_COLUMNS) | {
        "endpoint": "total",
        **{key: model[key] for key in ("parameters", "macs", "activations")},
    }


def ordered(rows: Iterable[Cells], column: str) -> list[Cells]:
    """Return rows sorted by a column: the largest first, text from A to Z, missing values last.

    Args:
        rows: with the keys of `COLUMNS`.
        column: one of them; with "-" before it reversed, missing values still last.

    Raises:
        UserError: for another column, with the nearest.
    """
    key = column.removeprefix("-")
    if key not in COLUMNS:
        raise UserError(f"--sort={column}: there is no such column{suggest(key, COLUMNS)}")
    rows = list(rows)
    present = [row for row in rows if row[key] not in (None, "")]
    largest_first = (key in TEXT) == column.startswith("-")
    present.sort(key=lambda row: _rank(row[key]), reverse=largest_first)
    return present + [row for row in rows if row[key] in (None, "")]


def _rank(value: Any) -> Any:
    if isinstance(value, str):
        # resnet18 before resnet101.
        parts = re.split(r"(\d+)", value.casefold())
        return [int(part) if n % 2 else part for n, part in enumerate(parts)]
    return math.prod(value) if isinstance(value, list) else value


def cell(value: Any, thousands: str = ",", times: str = "×") -> str:
    """Return a value as text: 1,000 and 7×5, or with other separators."""
    if value is None:
        return ""
    if isinstance(value, list):
        return times.join(cell(v, "", times) for v in value)
    return f"{value:,}" if isinstance(value, int) and thousands else str(value)


def csv_text(rows: Iterable[Cells], columns: Iterable[str]) -> str:
    """Return rows as CSV, below a row of the columns' keys."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(columns := list(columns))
    writer.writerows([cell(row[key], "", "x") for key in columns] for row in rows)
    return lines.getvalue().rstrip("\n")


def markdown_text(rows: Iterable[Cells], columns: Mapping[str, str]) -> str:
    """Return rows as a table in Markdown; numbers are on the right."""
    rule = ("---" if key in TEXT else "---:" for key in columns)
    lines = [columns.values(), rule]
    lines += [[cell(row[key]).replace("|", "\\|") for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def json_text(value: Any) -> str:
    """Return rows as JSON, a line for each; or one row, a line for each of its entries."""
    if isinstance(value, dict):
        entries = (f"{json.dumps(key)}: {_entry(v)}" for key, v in value.items())
        return "{\n" + ",\n".join(entries) + "\n}"
    return "[\n" + ",\n".join(f"  {_json(row)}" for row in value) + "\n]"


def _entry(value: Any) -> str:
    rows = isinstance(value, list) and value and isinstance(value[0], dict)
    return json_text(value) if rows or isinstance(value, dict) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
