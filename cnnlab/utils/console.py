"""Console and logging: one console on stderr that the log and the progress bar share."""

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
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


class _Lines(logging.Handler):
    """Writes each message whole on one line: a log is searched, not read at a width."""

    def emit(self, record: logging.LogRecord) -> None:
        console.print(f"{record.levelname:8} {self.format(record)}", soft_wrap=True)


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

    Names of columns are folded between words, all of a table or none; labels anywhere; numbers
    stay whole.

    Args:
        make: an empty table with the columns of the labels.
        labels: of each row.
        names: of the columns of numbers.
        cells: of each row, its numbers.
        sections: draw a line where the first label changes.
    """
    numbers = [longest(column) for column in zip(*cells, strict=True)]
    whole = [max(n, len(name)) for n, name in zip(numbers, names, strict=True)]
    narrow = [max(n, longest([folded(x)])) for n, x in zip(numbers, names, strict=True)]
    heads = [str(column.header) for column in make().columns]
    taken = sum(
        max(longest([head]), min(WIDEST_LABEL, longest(column))) + 3
        for head, column in zip(heads, zip(*labels, strict=True), strict=True)
    )
    room = max(output().width - taken - 1, max(narrow) + 3)
    tables, rest = [], list(range(len(names)))
    while rest:
        count, used = 0, 0
        while count < len(rest) and used + narrow[rest[count]] + 3 <= room:
            used += narrow[rest[count]] + 3
            count += 1
        chosen, rest = rest[:count], rest[count:]
        fits = sum(whole[i] + 3 for i in chosen) <= room
        table = make()
        for i in chosen:
            heading, width = (names[i], whole[i]) if fits else (folded(names[i]), narrow[i])
            table.add_column(heading, justify="right", no_wrap=True, min_width=width)
        for row, (label, values) in enumerate(zip(labels, cells, strict=True)):
            if sections and row and label[0] != labels[row - 1][0]:
                table.add_section()
            table.add_row(*label, *(values[i] for i in chosen))
        tables.append(table)
    return tables


def folded(name: str) -> str:
    """Return a heading with each of its words in a line: `negative_`, `distance`."""
    return "\n".join(part for part in re.split(r"(?<=[_/ ])|(?=@)", name) if part)


def longest(texts: Iterable[str]) -> int:
    """Return the length of the longest line, at least 1."""
    return max((len(line) for text in texts for line in text.split("\n")), default=1)


def set_up_logging() -> None:
    """Send this project's messages to the console, and nothing of the libraries.

    What goes wrong in them is raised, and explained or shown as a traceback by the entry point.
    """
    handler: logging.Handler = _Lines()
    if console.is_terminal:
        handler = RichHandler(console=console, show_time=False, show_path=False, show_level=True)
    handler.setFormatter(_Formatter())
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    for noisy in ("absl", "asyncio", "concurrent.futures", "etils", "jax", "orbax", "tensorboardX"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
