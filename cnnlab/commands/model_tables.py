"""How `models` prints: a list of models, or the stages of one, for a person or for a program."""

import sys
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from cnnlab.analysis import tables
from cnnlab.utils.console import output

# What a narrow terminal goes without, in this order.
DISPENSABLE = ("paper", "activations", "input", "stride", "paper_top5", "paper_top1")


def print_plain(rows: list[dict], columns: dict[str, str], form: str) -> None:
    """Print rows as "csv", "json" or "markdown"."""
    texts = {
        "csv": lambda: tables.csv_text(rows, columns),
        "json": lambda: tables.json_text(rows),
        "markdown": lambda: tables.markdown_text(rows, columns),
    }
    print(texts[form](), flush=True)


def print_list(rows: list[dict]) -> None:
    """Print a row for each model, with as many columns as the terminal has room for."""
    console = _console()
    columns = {key: title for key, title in tables.COLUMNS.items() if key != "protocol"}
    missing = []
    unlimited = console.options.update(max_width=1000)
    for key in DISPENSABLE:
        if console.measure(_table(rows, columns), options=unlimited).maximum <= console.width:
            break
        missing.append(columns.pop(key))
    console.print(_table(rows, columns))
    if missing:
        print(f"no room for: {', '.join(missing)} (--format=csv has them)", flush=True)


def print_one(model: dict, rows: list[dict]) -> None:
    """Print what there is to know of one model, and a row for each of its stages."""
    cell, total = tables.cell, tables.total_row(model)
    table = _table(rows, tables.STAGE_COLUMNS)
    table.add_section()
    table.add_row(*map(cell, total.values()))
    lines = [f"{model['name']}: {model['paper']}; image {cell(model['input'])}"]
    accuracies = [
        f"{title} {cell(model[key])} %"
        for key, title in (("paper_top1", "top-1"), ("paper_top5", "top-5"))
        if model[key] is not None
    ]
    if accuracies:
        lines.append(f"in the paper: {', '.join([*accuracies, model['protocol']])}")
    print("\n".join(lines), flush=True)
    _console().print(table)


def _table(rows: list[dict], columns: dict[str, str]) -> Any:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key, title in columns.items():
        table.add_column(title, justify="left" if key in tables.TEXT else "right", no_wrap=True)
    for row in rows:
        # Of an endpoint that has a value, no number means that it depends on everything.
        everything = {"receptive_field"} if row.get("shape") else set()
        texts = (
            "all" if key in everything and row[key] is None else tables.cell(row[key])
            for key in columns
        )
        table.add_row(*map(Text, texts))
    return table


def _console() -> Any:
    # Into a file or a pipe everything goes: there is no edge.
    return output(None if sys.stdout.isatty() else 1000)
