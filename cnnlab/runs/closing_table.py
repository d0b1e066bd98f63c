"""The closing table of a run: results beside its baselines, and what is to be said of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from cnnlab.metrics.formatting import format_value, natural
from cnnlab.runs import representation_report
from cnnlab.training import run_folder
from cnnlab.utils.console import number_tables, output, say


def print_results(
    title: str,
    rows: dict[str, dict[str, float]],
    classical: dict[str, dict[str, float]] | None = None,
) -> None:
    """Print a table on stdout: a line a protocol and split, a column a metric; or nothing."""
    others = {f"baseline: {name}": values for name, values in (classical or {}).items()}
    everything = {**rows, **others}
    metrics = {name.partition("/")[2] for values in rows.values() for name in values}
    names = sorted(metrics, key=natural)
    if not names:
        return
    rows_of = [
        (protocol, split, values)
        for protocol, values in everything.items()
        for split in sorted({name.partition("/")[0] for name in values})
    ]
    cells = [[format_value(n, v.get(f"{split}/{n}")) for n in names] for _, split, v in rows_of]

    def make() -> Table:
        table = Table(title=title)
        for name in ("protocol", "split"):
            table.add_column(name, overflow="fold")
        return table

    labels = [row[:2] for row in rows_of]
    for table in number_tables(make, labels, names, cells, sections=True):
        output().print(table)


def _seconds(result: Mapping[str, Any]) -> str:
    trained = f"{result['seconds']:.0f} s"
    # A folder of an earlier version has no total.
    total = result.get("seconds_total")
    return trained if total is None else f"{trained} of training, {total:.0f} s in all"


def below_baselines(result: Mapping[str, Any]) -> list[str]:
    """Return a line for each number of the last step that a baseline of the run exceeds."""
    last = run_folder.last_results(result)
    lines = []
    for baseline, values in result["floors"].items():
        for name, value in values.items():
            if name in last and last[name] < value:
                lines.append(
                    f"BELOW A BASELINE: {name} {format_value(name, last[name])}, "
                    f"{baseline} {format_value(name, value)}"
                )
    return lines


def show(workdir: Path) -> None:
    """Print the closing table of a finished run on stdout."""
    result = run_folder.read_result(workdir)
    plural = "" if result["steps"] == 1 else "s"
    title = f"{workdir}: {result['reason']} after {result['steps']} step{plural}"
    print_results(title, result["results"], result["floors"])
    # A folder of an earlier version has none.
    if result.get("representation"):
        representation_report.show(result["representation"])
    counts = ", ".join(f"{count} {split}" for split, count in result["examples"].items())
    say(
        f"{result['parameters']:,} parameters; examples: {counts}; seed {result['seed']}; "
        f"{_seconds(result)}"
    )
    for line in below_baselines(result):
        say(line)
    for split, count in result["skipped"].items():
        if count:
            say(f"{count} corrupt examples of {split} were skipped")
    for what, why in result.get("missing", {}).items():
        say(f"{what} is missing: {why}; the same command tries again")
    drawn = sorted(str(p.relative_to(workdir)) for p in (workdir / "figures").rglob("*.png"))
    say(f"figures in {workdir}: {', '.join(drawn)}")
