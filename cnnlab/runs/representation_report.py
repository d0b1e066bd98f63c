"""What a run says about its representation in the end: every encoder under every protocol."""

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cnnlab.evaluators import Features
from cnnlab.launch import distributed
from cnnlab.metrics.formatting import format_metrics, format_value
from cnnlab.plots import style
from cnnlab.plots.embedding import embedding_view
from cnnlab.plots.run_figures import roc_curves
from cnnlab.plots.tensorboard_projector import write_projector
from cnnlab.training import run_folder
from cnnlab.training.representation_eval import Row
from cnnlab.training.setup import Setup
from cnnlab.utils.console import number_tables, output, say
from cnnlab.utils.files import open_file

RANDOM, PIXELS = "random weights", "pixels"


def rows(
    setup: Setup, encoders: Mapping[str, Any], workdir: Path, missing: dict[str, str]
) -> list[Row]:
    """Return what every encoder and every control reaches.

    Args:
        setup: of the run.
        encoders: `(params, model_state)` by name.
        workdir: of the run, in which the supervised controls have their folders.
        missing: gets what fails, with the reason.
    """
    protocols, controls = setup.protocols, setup.config.representation.controls
    found: list[Row] = []

    def add(*arguments: Any, **keywords: Any) -> None:
        made = protocols.rows(*arguments, missing=missing, **keywords)
        assert made is not None
        found.extend(made)

    for name, variables in encoders.items():
        add(name, variables)
    variables = next(iter(encoders.values()))
    if "pixels" in controls:
        add(PIXELS, variables, raw=True)
    if "random" in controls:
        with distributed.optional(RANDOM, missing, shared=True):
            drawn = setup.random_variables()
            params = drawn.pop("params")
            # What it would compare embeddings by is random too: it is given the usual measure.
            add(RANDOM, (params, drawn), learned=False)
    for name in ("supervised", "fine_tune"):
        if name in controls:
            made = functools.partial(_labeled, name, workdir / name)
            what = f"representation of control '{name}'"
            plain_rows: list[dict[str, Any]] = distributed.optional_on_first_process(
                made, what, missing, default=[]
            )
            found.extend(Row(**row) for row in plain_rows)
    return sorted(found, key=lambda row: (row.protocol, row.split, row.endpoint))


def _labeled(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a supervised control; of fine-tuning, its accuracy."""
    result = run_folder.read_result(folder)
    if name == "supervised":
        return [{**row, "encoder": name} for row in result["representation"]]
    values = run_folder.last_results(result)
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
    options = setup.config.representation.embedding_view
    embedded = None
    if options.split:
        with distributed.optional("embedding_view", shared=True):
            embedded = setup.protocols.embed(variables, options.split, options.endpoint)

    def write() -> None:
        supervised = "supervised" in setup.config.representation.controls
        draw_roc(made, workdir, setup.train.source.info.name, supervised=supervised)
        if embedded is not None:
            _draw_view(setup, embedded, workdir)

    distributed.on_first_process(write)


def draw_roc(
    made: Sequence[Row],
    workdir: Path,
    data: str,
    *,
    supervised: bool = False,
    under: str = "figures",
    keep: bool = False,
) -> None:
    """Draw the curves of every split and protocol, and keep them beside the figure.

    Args:
        made: rows of the table.
        workdir: of the run.
        data: name of the set, for titles.
        supervised: whether the run has a supervised control, whose curves its folder has.
        under: folder of the run in which each split has one.
        keep: draw the curves that are there already too, of other endpoints and settings.
    """
    for split, protocol in sorted({(row.split, row.protocol) for row in made if row.curves}):
        name = "roc" if protocol == "verification" else f"roc_{protocol}"
        path = workdir / under / split / f"{name}.png"
        with distributed.optional(str(path)):
            shown = [row for row in made if (row.split, row.protocol) == (split, protocol)]
            curves = {
                "/".join((row.encoder, row.endpoint, row.setting)): np.stack(curve).astype(
                    np.float32
                )
                for row in shown
                for curve in row.curves.values()
            }
            if keep:
                curves = _saved_curves(path.with_suffix(".npz")) | curves
            labeled = _labels(curves)
            if supervised:
                saved = _saved_curves(workdir / "supervised" / "figures" / split / f"{name}.npz")
                control = _labels(saved).items()
                labeled |= {("supervised", endpoint): c for (_, endpoint), c in control}
            title = f"{workdir.resolve().name}: {data}, {split}: {protocol}"
            style.save(roc_curves(labeled, title=title), path)
            with open_file(path.with_suffix(".npz"), "wb") as file:
                np.savez_compressed(file, **curves)  # type: ignore[arg-type]


def _saved_curves(path: Path) -> dict[str, np.ndarray]:
    """Return what a figure was drawn from, by encoder/endpoint/setting; without a file nothing."""
    if not path.exists():
        return {}
    with open_file(path, "rb") as file, np.load(file) as saved:
        return dict(saved)


def _labels(
    curves: Mapping[str, np.ndarray],
) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return curves by (encoder, endpoint), which has the setting where it has several."""
    # A file of an earlier version has no settings.
    parts = [(*name.split("/", 2), "")[:3] for name in curves]
    count = Counter((encoder, endpoint) for encoder, endpoint, _ in parts)
    labeled = {}
    for (encoder, endpoint, setting), (x, y) in zip(parts, curves.values(), strict=True):
        several = bool(setting) and count[encoder, endpoint] > 1
        labeled[encoder, f"{endpoint}, {setting}" if several else endpoint] = x, y
    return labeled


def _draw_view(setup: Setup, embedded: Features, workdir: Path) -> None:
    options = setup.config.representation.embedding_view
    names = setup.evaluations[options.split].source.info.class_names
    path = workdir / "figures" / options.split / "embedding.png"
    with distributed.optional(str(path)):
        embedding_view(
            embedded.features,
            embedded.label,
            path,
            view=options.view,
            names=names,
            title=f"{options.split}, {options.endpoint}",
            limit=options.limit,
            seed=setup.config.seed,
        )
    if not options.projector:
        return
    with distributed.optional(str(workdir / "projector")):
        kept = min(options.limit, len(embedded))
        assert embedded.index is not None
        source = setup.evaluations[options.split].source
        images = None
        if "image" in source.keys:
            images = np.stack([source[int(i)]["image"] for i in embedded.index[:kept]])
        write_projector(
            workdir / "projector",
            re.sub(r"[^\w.-]", "_", f"{options.split}_{options.endpoint}"),
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
    console = output()
    blocks: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in saved:
        blocks.setdefault((row["protocol"], row["split"]), []).append(row)
    for (protocol, split), block in blocks.items():
        found = dict.fromkeys(name for row in block for name in row["values"])
        names = [name for name in found if name != "collapsed"]
        cells = [[format_value(n, row["values"].get(n)) for n in names] for row in block]
        labels = [[_what(row)] for row in block]
        title = f"{protocol} on {split}"
        for table in number_tables(functools.partial(_empty, title), labels, names, cells):
            console.print(table)
        # The setting of most rows stands alone, another one beside the rows that have it.
        settings = Counter(row["setting"] for row in block).most_common()
        for number, (setting, _) in enumerate(settings):
            those = "; ".join(_what(row) for row in block if row["setting"] == setting)
            say(f"  {those}: {setting}" if number else f"  {setting}")
        say("")
    for row in saved:
        if row["values"].get("collapsed"):
            say(
                f"COLLAPSED: to the {row['encoder']} network all of '{row['split']}' is nearly "
                f"the same ({row['endpoint']}): {format_metrics(row['values'])}"
            )


def _empty(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    return table


def _what(row: Mapping[str, Any]) -> str:
    return PIXELS if row["encoder"] == PIXELS else f"{row['encoder']}, {row['endpoint']}"
