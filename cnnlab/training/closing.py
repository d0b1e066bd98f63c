"""The end of a run: every split evaluated, floors, figures, `result.json` and a closing table."""

import functools
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from cnnlab.analysis import figures
from cnnlab.analysis.floors import FLOORS
from cnnlab.choices import pick
from cnnlab.data import pipeline
from cnnlab.files import write_json
from cnnlab.launch import processes
from cnnlab.training import representation
from cnnlab.training.loop import Loop, Position
from cnnlab.training.progress import format_value
from cnnlab.training.setup import Setup
from cnnlab.training.state import TrainState
from cnnlab.training.writer import read_rows


def close(setup: Setup, run: Loop, state: TrainState, position: Position, reason: str) -> None:
    """Evaluate the last and the best state on every split and write what the run has to show."""
    workdir, metric = run.workdir, setup.config.checkpoint.best
    splits = list(setup.evaluations)
    rows = {f"last (step {run.step})": evaluate_splits(setup, state, splits)}
    chosen = state
    best = run.checkpoints.best_step()
    if metric and best is not None and best != run.step:
        chosen, _ = run.checkpoints.restore(best, state)
        rows[f"best {metric} (step {best})"] = evaluate_splits(setup, chosen, splits)
    report = draw(setup, chosen, splits, workdir)
    encoders = {f"trained (step {run.step})": (state.params, state.model_state)}
    if chosen is not state:
        encoders[f"trained (best, step {best})"] = (chosen.params, chosen.model_state)
    found = representation.rows(setup, encoders, workdir)
    representation.draw(setup, (chosen.params, chosen.model_state), found, workdir)
    run.checkpoints.close()

    def write() -> None:
        records = read_rows(workdir / "metrics.jsonl")
        figures.learning_curves(records, workdir / "figures/curves.png")
        figures.schedule(setup.schedule, setup.steps, workdir / "figures/learning_rate.png")
        floors = _floors(setup)
        write_json(
            workdir / "result.json",
            {
                "reason": reason,
                "steps": run.step,
                "seed": setup.config.seed,
                "seconds": round(position.seconds, 1),
                "examples": {
                    "train": setup.train.count,
                    **{name: data.count for name, data in setup.evaluations.items()},
                },
                "skipped": {
                    "train": setup.train.skipped(),
                    **{name: data.skipped() for name, data in setup.evaluations.items()},
                },
                "parameters": int(sum(np.prod(x.shape) for x in jax.tree.leaves(state.params))),
                "results": rows,
                "floors": floors,
                "report": report,
                "representation": representation.plain(found),
            },
        )

    processes.first(write)


def evaluate_splits(setup: Setup, state: TrainState, splits: list[str]) -> dict[str, float]:
    """Return every scalar metric of the splits, as `split/metric`."""
    values: dict[str, float] = {}
    for split in splits:
        scalars = setup.evaluate_split(state, split)
        assert scalars is not None
        values |= {f"{split}/{name}": value for name, value in scalars.items()}
    return values


def draw(setup: Setup, state: TrainState, splits: list[str], workdir: Path) -> dict[str, Any]:
    """Let the experiment draw its figures; return its whole-set numbers for each split."""
    report: dict[str, Any] = {}
    for split in splits:
        evaluation = setup.evaluate(state, split)
        assert evaluation is not None
        source, folder = setup.evaluations[split].source, workdir / "figures" / split
        made = functools.partial(setup.experiment.report, evaluation, source, folder)
        report[split] = processes.first(made)
    return report


def _floors(setup: Setup) -> dict[str, dict[str, float]]:
    """Return each floor's accuracy on the splits that the run was not selected on.

    A floor may use what the run used: the training split and the splits it was selected on.
    """
    config = setup.config
    names = tuple(config.floors)
    held_out = [s for s in setup.evaluations if s not in config.evaluate.splits]
    if not names or not held_out:
        return {}

    def pixels(split: str, per_class: int = 0) -> tuple[np.ndarray, np.ndarray]:
        data = config.data.to_dict()
        source = pipeline.open_split(data, split, per_class=per_class, seed=config.seed)
        examples = [source[i] for i in range(len(source))]
        images = np.stack([e["image"].reshape(-1) for e in examples]).astype(np.float64) / 255
        return images, np.array([e["label"] for e in examples])

    splits = config.data.eval.splits
    train = pixels(config.data.train.split, config.data.train.per_class)
    parts = [train, *(pixels(splits[s]) for s in config.evaluate.splits)]
    images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    result: dict[str, dict[str, float]] = {}
    for name in names:
        floor = pick(FLOORS, name, "floor")
        result[name] = {}
        for split in held_out:
            test, truth = pixels(splits[split])
            accuracy = float(np.mean(floor(images, labels, test) == truth))
            result[name][f"{split}/accuracy"] = accuracy
    return result


def print_results(
    title: str, rows: dict[str, dict[str, float]], floors: dict[str, dict[str, float]] | None = None
) -> None:
    """Print a table on stdout: a line a protocol and split, a column a metric; or nothing."""
    everything = {**rows, **{f"floor: {name}": values for name, values in (floors or {}).items()}}
    names = sorted({name.partition("/")[2] for values in rows.values() for name in values})
    if not names:
        return
    table = Table("protocol", "split", title=title)
    for name in names:
        table.add_column(name, justify="right")
    for protocol, values in everything.items():
        for split in sorted({name.partition("/")[0] for name in values}):
            cells = (format_value(name, values.get(f"{split}/{name}")) for name in names)
            table.add_row(protocol, split, *cells)
        table.add_section()
    Console(highlight=False).print(table)


def show(workdir: Path) -> None:
    """Print the closing table of a finished run on stdout."""
    result = json.loads((workdir / "result.json").read_text())
    title = f"{workdir}: {result['reason']} after {result['steps']} steps"
    print_results(title, result["results"], result["floors"])
    # A folder of an earlier version has none.
    if result.get("representation"):
        representation.show(result["representation"])
    counts = ", ".join(f"{count} {split}" for split, count in result["examples"].items())
    print(
        f"{result['parameters']:,} parameters; examples: {counts}; seed {result['seed']}; "
        f"{result['seconds']:.0f} s"
    )
    for split, count in result["skipped"].items():
        if count:
            print(f"{count} corrupt examples of {split} were skipped")
    drawn = sorted(str(p.relative_to(workdir)) for p in (workdir / "figures").rglob("*.png"))
    print(f"figures in {workdir}: {', '.join(drawn)}")
