"""Tables of models and of the stages of one: rows of plain values, and how they are written.

A row is a dict. Counts are exact integers, for one image; a receptive field or stride is one
number, or [vertical, horizontal] where they differ, and None where it is everything or there is
none.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnnlab.analysis.summary import Row, Summary
from cnnlab.choices import suggest
from cnnlab.errors import UserError
from cnnlab.models.architecture import Architecture

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
# What only training uses, auxiliary classifiers, is in no endpoint of a network that is done.
TRAINING_ONLY = "(training only)"

Cells = dict[str, Any]


def model_row(
    name: str, architecture: Architecture, summary: Summary, shape: Sequence[int]
) -> Cells:
    """Return the row of a model: the keys of `COLUMNS`.

    Field and stride are those of the last endpoint that still is a map: after global pooling or a
    dense layer, everything depends on everything.

    Args:
        name: of the model.
        architecture: what the table of models says of it.
        summary: of the model on one image.
        shape: height, width and channels of the image.
    """
    last = last_map(summary)
    return {
        "name": name,
        **_counts(summary.total),
        "receptive_field": last and _per_axis(last.receptive_field),
        "stride": last and _per_axis(last.stride),
        "input": list(shape),
        "paper": architecture.paper,
        "paper_top1": architecture.top1,
        "paper_top5": architecture.top5,
        "protocol": architecture.protocol,
    }


def stage_rows(summary: Summary) -> list[Cells]:
    """Return a row for each endpoint: the keys of `STAGE_COLUMNS`; together they are the total.

    Parameters that only training uses have a row of their own, the last, if there are any.
    """
    rows = [_stage(row.name, row) for row in summary.rows]
    rest = training_only(summary)
    if rest:
        rows.append(dict.fromkeys(STAGE_COLUMNS) | {"endpoint": TRAINING_ONLY, "parameters": rest})
        rows[-1] |= {"macs": 0, "activations": 0}
    return rows


def total_row(summary: Summary) -> Cells:
    """Return the sum of the stages as a row like theirs."""
    return _stage("total", summary.total) | {"shape": None, "receptive_field": None, "stride": None}


def training_only(summary: Summary) -> int:
    """Return how many parameters no endpoint needs."""
    return summary.total.parameters - sum(row.parameters for row in summary.rows)


def last_map(summary: Summary) -> Row | None:
    """Return the last endpoint with rows and columns that does not see everything, if any."""
    maps = [
        row
        for row in summary.rows
        if len(row.shape) == 2 + len(row.fields) and None not in row.receptive_field
    ]
    return maps[-1] if maps else None


def ordered(rows: Iterable[Cells], column: str) -> list[Cells]:
    """Return rows sorted by a column: the largest first, text from A to Z, what is missing last.

    Args:
        rows: with the keys of `COLUMNS`.
        column: one of them; with "-" before it the other way round, what is missing still last.

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


def _stage(name: str, row: Row) -> Cells:
    known = None not in row.receptive_field
    return {
        "endpoint": name,
        "shape": list(row.shape[1:]),
        **_counts(row),
        "receptive_field": _per_axis(row.receptive_field) if known else None,
        "stride": _per_axis(row.stride) if known else None,
    }


def _counts(row: Row) -> Cells:
    return {"parameters": row.parameters, "macs": row.macs, "activations": row.activations}


def _per_axis(numbers: Sequence[int | float | None]) -> Any:
    plain = [int(n) if n is not None and n == int(n) else n for n in numbers]
    return None if not plain else plain[0] if len(set(plain)) == 1 else plain


def cell(value: Any, thousands: str = ",", times: str = "×") -> str:
    """Return a value as text: 1,000 and 7×5, or with other signs."""
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


def json_text(value: list[Cells] | Cells) -> str:
    """Return rows as JSON, a line for each; or one row that may have others inside."""
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {_json(row)}" for row in value) + "\n]"
    entries = (
        json_text(v) if isinstance(v, list) and v and isinstance(v[0], dict) else _json(v)
        for v in value.values()
    )
    lines = (f'"{key}": {entry}' for key, entry in zip(value, entries, strict=True))
    return "{\n" + ",\n".join(lines) + "\n}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
