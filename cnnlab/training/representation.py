"""What a run says about its representation in the end: every encoder under every protocol."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cnnlab.analysis.embedding_view import embedding_view
from cnnlab.analysis.projector import write_projector
from cnnlab.analysis.roc_figure import roc_curves
from cnnlab.evaluators import Embedded
from cnnlab.launch import processes
from cnnlab.training.progress import format_metrics, format_value
from cnnlab.training.protocols import Row
from cnnlab.training.setup import Setup

RANDOM, PIXELS = "random weights", "pixels"


def rows(setup: Setup, encoders: Mapping[str, Any], workdir: Path) -> list[Row]:
    """Return what every encoder and every control reaches.

    Args:
        setup: of the run.
        encoders: `(params, model_state)` by name.
        workdir: of the run, in which those with labels have their folders.
    """
    protocols, controls = setup.protocols, setup.config.controls
    found: list[Row] = []

    def add(*arguments: Any, **keywords: Any) -> None:
        made = protocols.rows(*arguments, **keywords)
        assert made is not None
        found.extend(made)

    for name, variables in encoders.items():
        add(name, variables)
    variables = next(iter(encoders.values()))
    if "pixels" in controls:
        add(PIXELS, variables, raw=True)
    if "random" in controls:
        drawn = setup.random_variables()
        params = drawn.pop("params")
        # What it would compare embeddings by is random too: it is given the usual measure.
        add(RANDOM, (params, drawn), learned=False)
    for name in ("supervised", "fine_tune"):
        if name in controls:
            made = functools.partial(_labeled, name, workdir / name)
            found.extend(Row(**row) for row in processes.first(made))
    return sorted(found, key=lambda row: (row.protocol, row.split, row.endpoint))


def _labeled(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run with labels under its name; of fine-tuning, its accuracy."""
    result = json.loads((folder / "result.json").read_text())
    if name == "supervised":
        return [{**row, "encoder": name} for row in result["representation"]]
    values = next(iter(result["results"].values()))
    setting = f"{result['examples']['train']} labels, {result['steps']} steps"
    rows = [
        Row("fine-tuned", name, split, "logits", setting, {"accuracy": values[key]})
        for split in result["examples"]
        if (key := f"{split}/accuracy") in values
    ]
    return plain(rows)


def draw(setup: Setup, variables: Any, made: list[Row], workdir: Path) -> None:
    """Draw ROC curves, and what `embedding_view` asks for.

    Args:
        setup: of the run.
        variables: `(params, model_state)` of the network whose embedding is drawn.
        made: rows whose curves are drawn.
        workdir: of the run; figures go to `figures/<split>/`, the projector's files to
            `projector/`.
    """
    options = setup.config.embedding_view
    embedded = None
    if options.split:
        embedded = setup.protocols.embed(variables, options.split, options.endpoint)

    def write() -> None:
        for split in {row.split for row in made if row.curves}:
            curves = {
                f"{row.encoder}, {row.endpoint}": curve
                for row in made
                if row.split == split
                for curve in row.curves.values()
            }
            roc_curves(curves, workdir / "figures" / split / "roc.png", title=split)
        if embedded is not None:
            _draw_view(setup, embedded, workdir)

    processes.first(write)


def _draw_view(setup: Setup, embedded: Embedded, workdir: Path) -> None:
    options = setup.config.embedding_view
    names = setup.evaluations[options.split].source.info.class_names
    what = f"{options.split}, {options.endpoint}"
    embedding_view(
        embedded.features,
        embedded.label,
        workdir / "figures" / options.split / "embedding.png",
        view=options.view,
        names=names,
        title=what,
        limit=options.limit,
        seed=setup.config.seed,
    )
    if options.projector:
        kept = min(options.limit, len(embedded))
        assert embedded.index is not None
        source = setup.evaluations[options.split].source
        images = None
        if "image" in source.keys:
            images = np.stack([source[int(i)]["image"] for i in embedded.index[:kept]])
        write_projector(
            workdir / "projector",
            f"{options.split}_{options.endpoint}",
            embedded.features[:kept],
            {name: values[:kept] for name, values in embedded.keys.items()},
            images=images,
            class_names=names,
        )


def plain(made: list[Row]) -> list[dict[str, Any]]:
    """Return rows as they go into a file: without curves."""
    return [{k: v for k, v in dataclasses.asdict(r).items() if k != "curves"} for r in made]


def show(saved: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows on stdout, a table for each protocol and split."""
    console = Console(highlight=False)
    blocks: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in saved:
        blocks.setdefault((row["protocol"], row["split"]), []).append(row)
    for (protocol, split), block in blocks.items():
        table = Table(title=f"{protocol} on {split}", title_justify="left", box=SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        names = list(dict.fromkeys(name for row in block for name in row["values"]))
        names = [name for name in names if name != "collapsed"]
        cells = [[format_value(n, row["values"].get(n)) for n in names] for row in block]
        for name, column in zip(names, zip(*cells, strict=True), strict=True):
            # A narrow terminal folds the names, never the numbers.
            widest = max(map(len, column))
            table.add_column(name, justify="right", overflow="fold", min_width=widest)
        for row, shown in zip(block, cells, strict=True):
            table.add_row(_what(row), *shown)
        console.print(table)
        settings: dict[str, list[str]] = {}
        for row in block:
            settings.setdefault(row["setting"], []).append(_what(row))
        for setting, those in settings.items():
            print(f"  {setting}" if len(settings) == 1 else f"  {'; '.join(those)}: {setting}")
        print()
    for row in saved:
        if row["values"].get("collapsed"):
            print(
                f"COLLAPSED: to the {row['encoder']} network all of '{row['split']}' is nearly "
                f"the same ({row['endpoint']}): {format_metrics(row['values'])}"
            )


def _what(row: Mapping[str, Any]) -> str:
    return PIXELS if row["encoder"] == PIXELS else f"{row['encoder']}, {row['endpoint']}"
