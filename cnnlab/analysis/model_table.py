"""Rows of the tables of models (`cnnlab.analysis.tables`), from the summaries of models."""

from collections.abc import Sequence
from typing import Any

from cnnlab.analysis.summary import Row, Summary
from cnnlab.analysis.tables import STAGE_COLUMNS, Cells
from cnnlab.models.architecture import Architecture

# Parameters of auxiliary classifiers, which only training uses, belong to no endpoint.
TRAINING_ONLY = "(training only)"


def model_row(
    name: str, architecture: Architecture, summary: Summary, shape: Sequence[int]
) -> Cells:
    """Return the row of a model: the keys of `COLUMNS`.

    Field and stride are those of the last feature map: after global pooling or a dense layer,
    everything depends on everything.

    Args:
        name: of the model.
        architecture: its entry in the table of models.
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


def training_only(summary: Summary) -> int:
    """Return how many parameters belong to no endpoint."""
    return summary.total.parameters - sum(row.parameters for row in summary.rows)


def last_map(summary: Summary) -> Row | None:
    """Return the last endpoint that is a feature map with a limited receptive field, if any."""
    maps = [
        row
        for row in summary.rows
        if len(row.shape) == 2 + len(row.fields) and None not in row.receptive_field
    ]
    return maps[-1] if maps else None


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
