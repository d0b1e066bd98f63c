"""A hostile input: how it is made, what reads it, and what is expected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
CONFIG = f"--config={ROOT}/configs/digits_lenet5.py"
SMALL = f"--config={ROOT}/tests/commands/small_digits.py"


def nothing(_: Path) -> None:
    """For rows whose command line is the input."""


class Row(NamedTuple):
    """One input.

    Attributes:
        name: unique in its table.
        words: of the one line of the error; where it `works`, of the output.
        make: makes it in an empty folder, which is the working directory.
        read: a command line, its arguments, or a function of the folder; None: that of the table.
        works: it is odd, and no error.
    """

    name: str
    words: str
    make: Callable[[Path], Any] = nothing
    read: str | list[str] | Callable[[Path], Any] | None = None
    works: bool = False


class Table(NamedTuple):
    """Inputs of one kind.

    Attributes:
        kind: for the names of tests and docs/reliability.md.
        read: a command line, or a function of the folder that raises `UserError`.
        rows: the inputs.
        before: makes what they have in common.
    """

    kind: str
    read: str | Callable[[Path], Any]
    rows: list[Row]
    before: Callable[[Path], Any] = nothing


def place(name: str, content: bytes | str) -> Callable[[Path], Any]:
    """Return what writes a file with this content."""
    data = content.encode() if isinstance(content, str) else content

    def make(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return make


def link(name: str, target: str) -> Callable[[Path], Any]:
    """Return what makes a symbolic link."""
    return lambda folder: (folder / name).symlink_to(target)


def change(*parts):
    """Make one change after another."""
    return lambda folder: [part(folder) for part in parts]


def remove(name):
    """Make what takes a file away."""
    return lambda folder: (folder / name).unlink()
