"""Report of a sweep: best trials, tables, figures, and the command of the best trial.

    report/trials.csv    every trial
    report/trials.md     the same to read, points over their seeds, what failed and why, figures
    report/*.png         the metric against each parameter, parallel coordinates, learning curves

Works on an unfinished sweep. The sweep's metric alone selects the best; numbers on held-out splits
are shown beside it.
"""

import csv
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.measure import Measurement
from rich.table import Table

from cnnlab.launch import distributed
from cnnlab.metrics.formatting import format_value
from cnnlab.plots import style
from cnnlab.sweeps import report_figures, summary
from cnnlab.sweeps.folder import SweepFolder
from cnnlab.sweeps.summary import Point, Row, Summary, short
from cnnlab.sweeps.trial import command
from cnnlab.utils.console import number_tables, output, say
from cnnlab.utils.files import open_file

BEST, LISTED = 10, 10
OPEN = ("failed", "pruned", "running", "waiting")


def write(folder: SweepFolder, metric: str = "", mode: str = "") -> None:
    """Write a sweep's report and print the best of it on stdout.

    Args:
        folder: of the sweep, finished or not.
        metric, mode: what to compare by; empty: as the sweep was made.

    Raises:
        UserError: for a metric that no trial reports, or that nothing may be chosen by.
    """
    found = summary.read(folder, metric, mode)
    target = folder.path / "report"
    target.mkdir(exist_ok=True)
    _write_csv(found, target / "trials.csv")
    figures = _draw(found, target)
    with open_file(target / "trials.md", "w") as file:
        file.write(_markdown(found, figures))
    _print(found)
    names = ["trials.csv", "trials.md", *figures]
    say(f"report in {target}: {', '.join(names)}")


def rerun(found: Summary) -> str | None:
    """Return the command that runs the best trial again, for a shell; None without one.

    Of a point with several seeds it is the first; the others differ in `--config.seed`.
    """
    if not found.ranked:
        return None
    row = next(row for row in found.ranked[0].rows if row.counts)
    path = found.folder.path
    return shlex.join(command(found.folder, row.trial, path.with_name(f"{path.name}-best")))


def _draw(found: Summary, target: Path) -> list[str]:
    """Draw what there is to see; remove what an earlier report had and this one has not."""
    several = bool(found.parameters)
    wanted = {
        "metric.png": several and any(row.value is not None for row in found.rows),
        "parallel.png": several and bool(found.ranked),
        "curves.png": any(row.curve for row in found.rows),
    }
    functions = (
        report_figures.metric_by_parameter,
        report_figures.parallel_coordinates,
        report_figures.learning_curves,
    )
    for function, (name, there) in zip(functions, wanted.items(), strict=True):
        (target / name).unlink(missing_ok=True)
        if there:
            with distributed.optional(str(target / name)):
                style.save(function(found), target / name)
    return [name for name in wanted if (target / name).exists()]


def _held_out(found: Summary, everything: bool = False) -> list[str]:
    """Return the held-out numbers to show: those of the metric's kind, or all that there are."""
    names = dict.fromkeys(name for row in found.rows for name in row.held_out)
    last = found.metric.name.rpartition("/")[2]
    same = [name for name in names if name.rpartition("/")[2] == last]
    return list(names) if everything else same


def _write_csv(found: Summary, path: Path) -> None:
    entries = list(dict.fromkeys(name for row in found.rows for name in row.trial.overrides))
    held_out = _held_out(found, everything=True)
    with open_file(path, "w", newline="") as file:
        writer = csv.writer(file)
        head = ["trial", "point", "state", *entries, found.metric.name, "step", *held_out]
        writer.writerow([*head, "seconds", "attempts", "reason"])
        for row in found.rows:
            writer.writerow(
                [
                    row.trial.number,
                    row.trial.point,
                    row.state,
                    *(found.setting(row, name) for name in entries),
                    row.value,
                    row.step,
                    *(row.held_out.get(name) for name in held_out),
                    row.seconds,
                    row.attempts,
                    row.reason,
                ]
            )


def _head(found: Summary, names: Sequence[str]) -> list[str]:
    seeds = ["n"] if _repeated(found) else []
    return ["trial", *names, found.metric.name, *seeds, "step", *_held_out(found)]


def _repeated(found: Summary) -> bool:
    return found.folder.settings.repeat > 1


def _cells(found: Summary, rows: Sequence[Row]) -> list[str]:
    """Return a point's line, of one trial or of several with mean and standard deviation."""
    name = found.metric.name
    measured = [row for row in rows if row.value is not None]
    steps = sorted({row.step for row in measured if row.step is not None})
    return [
        _several([row.trial.name for row in rows]),
        *(short(found.setting(rows[0], parameter.name)) for parameter in found.parameters),
        _spread(name, [row.value for row in measured if row.value is not None]),
        *([str(len(measured))] if _repeated(found) else []),
        "-".join(map(str, dict.fromkeys((steps[0], steps[-1])))) if steps else "",
        *(
            _spread(other, [row.held_out[other] for row in rows if other in row.held_out])
            for other in _held_out(found)
        ),
    ]


def _spread(name: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    point = Point(0, [], list(values))
    mean = format_value(name, point.mean)
    if point.deviation is None:
        return mean
    return f"{mean} ± {format_value(name, point.deviation)}"


def _lists(found: Summary, limit: int | None = None) -> list[tuple[str, list[str]]]:
    """Return what did not finish: a title for each state, and a line for each reason."""
    lists = []
    for state in OPEN:
        rows = found.in_state(state)
        reasons: dict[str, list[str]] = {}
        for row in rows:
            at = f"at step {row.curve[-1][0]}" if row.curve else ""
            reasons.setdefault(row.reason or at, []).append(row.trial.name)
        lines = [f"{_several(names)}  {reason}".rstrip() for reason, names in reasons.items()]
        if limit is not None and len(lines) > limit:
            lines[limit:] = [f"and {len(lines) - limit} more reasons: report/trials.md"]
        if rows:
            lists.append((f"{state} ({len(rows)})", lines))
    return lists


def _several(names: Sequence[str]) -> str:
    numbers = [int(name) for name in names]
    if len(names) > 2 and numbers == list(range(numbers[0], numbers[0] + len(names))):
        return f"{names[0]}-{names[-1]}"
    return ", ".join(names) if len(names) <= 8 else f"{', '.join(names[:8])} and {len(names) - 8}"


def _what(found: Summary) -> str:
    metric = found.metric
    kind = (
        "the best of each run's evaluations, whose checkpoint it keeps"
        if metric.kind == "best"
        else "the last of each run"
    )
    order = "highest" if metric.sign > 0 else "lowest"
    return f"{metric.name}: {kind}; {order} first"


def _notes(found: Summary) -> list[str]:
    notes = [_what(found)]
    if _repeated(found):
        order = "" if all(p.complete for p in found.ranked) else "; complete points come first"
        notes.append(f"mean ± standard deviation (n - 1) over n seeds{order}")
    held_out = _held_out(found)
    if held_out:
        notes.append(f"held out, nothing is chosen by it: {', '.join(held_out)}")
    return notes


def _print(found: Summary) -> None:
    console = output()
    finished = len(found.in_state("finished"))
    title = f"{found.folder.path}: {finished} of {len(found.rows)} trials finished"
    if found.ranked:
        tables = _best_tables(found, title, found.labels())
        unbounded = console.options.update(width=10_000)
        if (
            len(tables) > 1
            or Measurement.get(console, unbounded, tables[0]).maximum > console.width
        ):
            # A column a parameter would be too narrow to read.
            tables = _best_tables(found, title, None)
        for table in tables:
            console.print(table)
        for note in _notes(found):
            say(note)
    else:
        say(f"{found.folder.path}: no trial of {len(found.rows)} has finished yet")
    for title, lines in _lists(found, LISTED):
        say(f"{title}:")
        for line in lines:
            say(f"  {line}")
    best = rerun(found)
    if best:
        # Not through rich, which would break the line.
        say(f"the best again:\n  {best}")


def _best_tables(found: Summary, title: str, labels: Sequence[str] | None) -> list[Table]:
    """Return the best points; the parameters in one column if `labels` is None."""
    count = len(found.parameters)
    first = count + 1 if labels is not None else 2
    head = _head(found, ["parameters"] if labels is None else labels)
    rows = []
    for point in found.ranked[:BEST]:
        cells = _cells(found, [row for row in point.rows if row.counts])
        if labels is None:
            pairs = zip(found.labels(), cells[1 : count + 1], strict=True)
            cells[1 : count + 1] = ["\n".join(f"{name} {value}" for name, value in pairs)]
        rows.append(cells)

    def make() -> Table:
        table = Table(title=title, show_lines=labels is None)
        for name in head[:first]:
            table.add_column(name, overflow="fold")
        return table

    return number_tables(
        make, [row[:first] for row in rows], head[first:], [row[first:] for row in rows]
    )


def _markdown(found: Summary, figures: Sequence[str]) -> str:
    finished = len(found.in_state("finished"))
    lines = [f"# {found.folder.path.name}: {finished} of {len(found.rows)} trials finished", ""]
    lines += [f"{note}." for note in _notes(found)]
    best = rerun(found)
    if best:
        lines += ["", "The best again:", "", "```", best, "```"]
    head = _head(found, [parameter.name for parameter in found.parameters])
    if _repeated(found):
        groups = [[row for row in point.rows if row.counts] for point in found.ranked]
        lines += ["", "## Points", "", *_table(head, [_cells(found, group) for group in groups])]
    sign = found.metric.sign
    rows = sorted(
        found.rows,
        key=lambda row: (not row.counts, row.value is None, -sign * (row.value or 0.0)),
    )
    cells = [[*_cells(found, [row]), row.state] for row in rows]
    lines += ["", "## Trials", "", *_table([*head, "state"], cells)]
    for title, listed in _lists(found):
        lines += ["", f"## {title.capitalize()}", "", *(f"- {_escaped(line)}" for line in listed)]
    for name in figures:
        lines += ["", f"![{name.removesuffix('.png')}]({name})"]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(_escaped, line)) + " |" for line in lines]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
