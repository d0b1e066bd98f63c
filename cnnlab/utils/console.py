"""Console and logging: one console on stderr that the log and the progress bar share."""

import logging
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

# Columns of a terminal that a label gets before it is folded.
WIDEST_LABEL = 32
BIDI_CONTROLS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
LOG = logging.getLogger("cnnlab")


def printable(text: str) -> str:
    """Return text with what moves the cursor or reverses letters escaped; lines stay."""
    return "".join(repr(c)[1:-1] if c != "\n" and _moves(c) else c for c in text)


def _moves(c: str) -> bool:
    return unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in BIDI_CONTROLS


def say(*texts: str, **options: Any) -> None:
    """Print names and paths as they are, but `printable`; options as of `print`."""
    print(*map(printable, texts), **options)


def one_line(text: str) -> str:
    """Return a name with all control characters escaped."""
    return printable(text).replace("\n", "\\n")


class _Console(Console):
    """Shows names and paths as they are, but for control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def output(width: int | None = None, *, stderr: bool = False) -> Console:
    """Return a console that shows names and paths as they are.

    Brackets in them are no markup, and colons no emoji.
    """
    return _Console(width=width, stderr=stderr, highlight=False, markup=False, emoji=False)


console = output(stderr=True)


def number_tables(
    make: Callable[[], Table],
    labels: Sequence[Sequence[str]],
    names: Sequence[str],
    cells: Sequence[Sequence[str]],
    *,
    sections: bool = False,
) -> list[Table]:
    """Return tables of numbers beside labels, more than one where the terminal is too narrow.

    Names of columns are folded between words, labels anywhere; numbers stay whole.

    Args:
        make: an empty table with the columns of the labels.
        labels: of each row.
        names: of the columns of numbers.
        cells: of each row, its numbers.
        sections: draw a line where the first label changes.
    """
    least = [max(map(len, column), default=1) for column in zip(*cells, strict=True)]
    pieces = [_pieces(name) for name in names]
    narrowest = [max(n, *map(len, parts)) for n, parts in zip(least, pieces, strict=True)]
    taken = sum(
        min(WIDEST_LABEL, max(map(len, column))) + 3 for column in zip(*labels, strict=True)
    )
    room = max(output().width - taken - 1, max(narrowest) + 3)
    tables, rest = [], list(range(len(names)))
    while rest:
        count, used = 0, 0
        while count < len(rest) and used + narrowest[rest[count]] + 3 <= room:
            used += narrowest[rest[count]] + 3
            count += 1
        chosen, rest = rest[:count], rest[count:]
        widths = {i: max(len(names[i]), least[i]) for i in chosen}
        while sum(widths.values()) + 3 * count > room and any(
            widths[i] > narrowest[i] for i in chosen
        ):
            # The longest name is folded first.
            widths[max(chosen, key=lambda i: (widths[i] > narrowest[i], widths[i]))] -= 1
        table = make()
        for i in chosen:
            heading = _folded(pieces[i], widths[i])
            table.add_column(heading, justify="right", no_wrap=True, min_width=narrowest[i])
        for row, (label, numbers) in enumerate(zip(labels, cells, strict=True)):
            if sections and row and label[0] != labels[row - 1][0]:
                table.add_section()
            table.add_row(*label, *(numbers[i] for i in chosen))
        tables.append(table)
    return tables


def _pieces(name: str) -> list[str]:
    """Return the parts of a metric's name that stay whole: `negative_`, `distance`."""
    return [part for part in re.split(r"(?<=[_/ ])|(?=[@=])", name) if part] or [""]


def _folded(parts: Sequence[str], width: int) -> str:
    lines = [""]
    for part in parts:
        if len(lines[-1] + part) > width and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def set_up_logging() -> None:
    """Send this project's messages to the console, and nothing of the libraries.

    What goes wrong in them is raised, and explained or shown as a traceback by the entry point.
    """
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=True)
    handler.setFormatter(_Formatter())
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    for noisy in ("absl", "asyncio", "concurrent.futures", "etils", "jax", "orbax", "tensorboardX"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
