"""Console and logging: one console on stderr that the log and the progress bar share."""

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

# Columns of a terminal that a column of text is left at least.
TEXT = 8
LOG = logging.getLogger("cnnlab")


def printable(text: str) -> str:
    """Return text with control characters escaped, which could move the cursor; lines stay."""
    return "".join(
        c if c == "\n" or unicodedata.category(c) != "Cc" else repr(c)[1:-1] for c in text
    )


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


def add_numbers(
    table: Table, names: Sequence[str], columns: Iterable[Sequence[str]], text: int = TEXT
) -> None:
    """Add columns of numbers: a narrow terminal folds their names, never the numbers.

    Args:
        table: with its columns of text, which share what room the numbers leave.
        names: of the columns.
        columns: their cells, to know how wide they have to be.
        text: letters that a column of text needs.
    """
    least = [max(map(len, cells), default=1) for cells in columns]
    widths = [max(len(name), width) for name, width in zip(names, least, strict=True)]
    room = output().width - 3 * len(names) - 1 - (text + 3) * len(table.columns)
    while sum(widths) > room and widths != least:
        # The longest name is folded first.
        widths[max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))] -= 1
    for name, width, number in zip(names, widths, least, strict=True):
        table.add_column(name, justify="right", overflow="fold", min_width=number, max_width=width)


def set_up_logging() -> None:
    """Send this project's messages to the console, and nothing of the libraries.

    What goes wrong in them is raised, and explained or shown as a traceback by the front door.
    """
    handler = RichHandler(console=console, show_time=False, show_path=False, show_level=True)
    handler.setFormatter(_Formatter())
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    for noisy in ("absl", "asyncio", "concurrent.futures", "etils", "jax", "orbax", "tensorboardX"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
