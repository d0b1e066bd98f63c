"""Reads the metrics of a run while it writes them, and the last lines of its log."""

import json
from pathlib import Path

from cnnlab.utils.files import LARGEST_JSON, open_file, read_tail


class Follower:
    """Reads a `metrics.jsonl` as it grows, every record once.

    A resumed run truncates the records beyond its last checkpoint and writes them again; they are
    not returned twice.

    Attributes:
        step: of the last record.
    """

    def __init__(self, path: Path):
        """Follow a file, which need not be there yet."""
        self.step = 0
        self._path, self._offset, self._inode = path, 0, 0
        self._seen: set[tuple[int, tuple[str, ...]]] = set()

    def rows(self) -> list[tuple[int, dict[str, float]]]:
        """Return step and values of the records that are new; a line half written waits."""
        try:
            file = open_file(self._path, "rb")
        except FileNotFoundError:
            return []
        with file:
            inode = self._path.stat().st_ino
            if inode != self._inode:
                self._inode, self._offset = inode, 0
            file.seek(self._offset)
            text = file.read(LARGEST_JSON)
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = []
        for line in whole.splitlines():
            try:
                values = json.loads(line)
                step = values.pop("step")
            except (json.JSONDecodeError, KeyError, AttributeError, TypeError):
                # A line cut by a kill; the run itself reports it if it matters.
                continue
            key = (step, tuple(sorted(values)))
            if key not in self._seen:
                self._seen.add(key)
                self.step = step
                found.append((step, values))
        return found


def last_words(path: Path, start: int = 0) -> str:
    """Return the line in which a log says what went wrong: its last error, else its last line.

    Args:
        path: the log.
        start: byte to read from: where the attempt began.
    """
    lines = [line.strip() for line in read_tail(path, 65536, start).splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines or [""])[-1].removeprefix("error: ")
