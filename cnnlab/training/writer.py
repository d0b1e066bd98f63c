"""Numbers of a run on disk: `metrics.jsonl`, a line a record, and TensorBoard events."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.training.event_file import EventFile
from cnnlab.utils.files import damaged, open_file, parse_json, read_file

ROW = {"step": int, str: (float, int)}
# Bytes of a record: of thousands of metrics.
LONGEST = 1 << 20


def read_rows(path: Path) -> Iterator[dict]:
    """Yield the records of a `metrics.jsonl`; a last line cut off by a kill is passed over.

    Raises:
        UserError: the file or one of its lines is damaged.
    """
    try:
        file = open_file(path, "rb")
    except FileNotFoundError:
        return
    except OSError as error:
        raise damaged(path, error.strerror or str(error), "remove it") from None
    with file:
        # A damaged file may be one line of any length.
        for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), start=1):
            if len(line) > LONGEST:
                raise damaged(
                    f"{path} line {number}", f"longer than {LONGEST} bytes", "remove the line"
                )
            row = _plain(line)
            if row is None:
                try:
                    row = parse_json(line, ROW, f"{path} line {number}", "remove the line")
                except UserError:
                    if line.endswith(b"\n") or file.read(1):
                        raise
                    return
            yield row


def _plain(line: bytes) -> dict | None:
    """Return a record as runs write it, in half the time that `parse_json` takes; else None."""
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    if type(row) is not dict or type(row.get("step")) is not int:
        return None
    return row if {type(value) for value in row.values()} <= {float, int} else None


class Writer:
    """Appends records to a run's folder.

    Attributes:
        last: step of the last record that was kept; 0 without one.

    On a resume what was written after the restored step is taken back, so that an interrupted
    run leaves the same file as one that was not.
    """

    def __init__(self, folder: Path, resume_step: int = 0):
        """Open the files; records beyond `resume_step` are removed."""
        path = folder / "metrics.jsonl"
        self.last = 0
        temporary = path.with_suffix(".tmp")
        with open_file(temporary, "w") as file:
            try:
                for row in read_rows(path):
                    if row["step"] <= resume_step:
                        file.write(json.dumps(row) + "\n")
                        self.last = row["step"]
            except UserError:
                temporary.unlink()
                raise
        temporary.replace(path)
        self._file = open_file(path, "a")
        purge_step = resume_step + 1 if resume_step else 0
        self._events = EventFile(folder / "tensorboard", purge_step=purge_step)
        config = folder / "config.json"
        if not resume_step and config.exists():
            from tensorboardX.summary import text

            self._events.add(text("config", f"```\n{read_file(config).decode()}\n```"))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write one record and hand it to the operating system."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        self._events.scalars(values, step)
        self._events.flush()

    def close(self) -> None:
        """Flush and close both files."""
        self._file.close()
        self._events.close()


class Silent(Writer):
    """What the other processes have in place of a writer: process 0 writes for all."""

    def __init__(self) -> None:
        """Open nothing."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
