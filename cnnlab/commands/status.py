"""Show where runs stand: queued, running, finished, stopped or failed, and why.

usage: python launch.py status [--workdir=FOLDER] [--lines=N] [--format=table|json]

FOLDER is a run, a folder of runs or a sweep. What Slurm knows of their jobs is asked of squeue;
without Slurm the folders alone tell. Of a single run the last lines of its log are shown.

examples:
  python launch.py status --workdir=runs
  python launch.py status --workdir=runs/digits --lines=50
"""

import collections
import dataclasses
import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from rich.table import Table
from rich.text import Text

from cnnlab.commands.parsing import define_path
from cnnlab.errors import UserError
from cnnlab.utils.console import WIDEST_LABEL, folded, longest, one_line, output, say

# Letters of a reason in the table; a longer one follows below it.
REASON = 60
LEFT, FOLDED = ("run", "state", "job", "why"), ("run", "job", "why")
STYLES = {"running": "cyan", "finished": "green", "failed": "red", "lost": "red"}


def define(values: flags.FlagValues) -> None:
    """Define the flags of this command."""
    define_path("workdir", "runs", "run folder, folder of runs, or sweep folder", values)
    flags.DEFINE_integer(
        "lines", 10, "lines to show of the log of a single run", lower_bound=0, flag_values=values
    )
    flags.DEFINE_enum("format", "table", ["table", "json"], "how to print", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Show where runs stand."""
    if arguments:
        raise UserError(f"unexpected argument '{arguments[0]}': name the folder by --workdir")
    from cnnlab.launch import slurm_queue
    from cnnlab.runs.status import find_runs, state

    workdir = Path(values.workdir)
    if not workdir.is_dir():
        raise UserError(f"no folder {workdir}: name a run or a folder of runs by --workdir")
    queue = slurm_queue.queued()
    states = {folder: state(folder, queue) for folder in find_runs(workdir)}
    if values.format == "json":
        say(json.dumps({str(f): dataclasses.asdict(s) for f, s in states.items()}, indent=2))
        return 0
    if not states:
        raise UserError(f"no run in {workdir}: there is no config.json and no job")
    _show(workdir, states)
    if len(states) == 1 and values.lines:
        _show_log(*states.popitem(), values.lines)
    return 0


def _show(workdir: Path, states: dict) -> None:
    counts = collections.Counter(s.name for s in states.values())
    title = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    metrics = {s.metric for s in states.values() if s.best is not None}
    best_of = f"best {metrics.pop()}" if len(metrics) == 1 else "best"
    rows = [_cells(folder, workdir, now, best_of) for folder, now in states.items()]
    names = ("run", "state", "step", "examples/s", best_of, "job", "why")
    columns = {n: cells for n, *cells in zip(names, *rows, strict=True) if any(cells)}
    width, most = output().width, REASON
    if _width(columns) > width:
        columns = {folded(name): cells for name, cells in columns.items()}
    if "why" in columns and _width(columns) > width:
        del columns["why"]
        most = 0
    table = Table(title=f"{workdir}: {title}")
    for name in columns:
        side: Any = "left" if name in LEFT else "right"
        table.add_column(name, justify=side, no_wrap=name not in FOLDED, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text(x, STYLES[x]) if x in STYLES else x for x in row))
    output().print(table)
    for folder, now in states.items():
        if len(_relative(now.reason, folder)) > most:
            say(f"{one_line(str(folder))}: {one_line(now.reason)}")


def _cells(folder: Path, workdir: Path, now: Any, best_of: str) -> list[str]:
    from cnnlab.metrics.formatting import format_value

    best = format_value(now.metric, now.best)
    if best and best_of == "best":
        best = f"{now.metric} {best}"
    again = f" ({now.starts - 1} restarts)" if now.starts > 1 else ""
    return [
        one_line(str(folder.relative_to(workdir)) if folder != workdir else folder.name),
        now.name,
        f"{now.step}/{now.steps}" if now.steps else "",
        f"{now.rate:,.0f}" if now.rate and now.name == "running" else "",
        best,
        now.job + again,
        one_line(textwrap.shorten(_relative(now.reason, folder), REASON, placeholder=" ...")),
    ]


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Return the width of a table whose long labels are folded."""
    widths = (max(longest([n]), min(WIDEST_LABEL, longest(x))) for n, x in columns.items())
    return 1 + sum(width + 3 for width in widths)


def _relative(reason: str, folder: Path) -> str:
    return reason.replace(f"{folder}/", "")


def _show_log(folder: Path, now, lines: int) -> None:
    from cnnlab.runs.status import log_tail

    found = log_tail(folder, now.job, lines) if now.job else None
    if found:
        path, tail = found
        say(f"last lines of {path}:")
        say("\n".join(f"  {line}" for line in tail))
