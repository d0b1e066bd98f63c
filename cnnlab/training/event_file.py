"""A file of TensorBoard events whose errors cost a warning, never the run."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from cnnlab.utils.console import LOG


class EventFile:
    """Appends summaries to a new file of events in a folder.

    tensorboardX's own `SummaryWriter` writes in a thread: when the disk is full the thread ends,
    and the program waits for it forever. Here the first error ends the file, with a warning.
    """

    def __init__(self, folder: Path, *, suffix: str = "", purge_step: int = 0):
        """Open a file; events that other files of the folder have from `purge_step` on are void."""
        self._folder, self._events = folder, cast(Any, None)
        with self._guarded():
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto.event_pb2 import SessionLog

            folder.mkdir(parents=True, exist_ok=True)
            # Files are named by the second; one that is there would be overwritten.
            number = len(list(folder.iterdir()))
            # Of a relative path it takes what stands before a colon for a remote file system.
            self._events = EventsWriter(str(folder.absolute() / "events"), f".{number}{suffix}")
            if purge_step:
                start = SessionLog(status=SessionLog.START)
                self._write(purge_step, file_version="brain.Event:2")
                self._write(purge_step, session_log=start)

    def add(self, summary: Any, step: int = 0) -> None:
        """Append a `Summary` of tensorboardX."""
        with self._guarded():
            self._write(step, summary=summary)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Append numbers."""
        from tensorboardX.summary import scalar

        for name, value in values.items():
            self.add(scalar(name, value), step)

    def flush(self) -> None:
        """Hand what was appended to the operating system."""
        with self._guarded():
            if self._events is not None:
                self._events.flush()

    def close(self) -> None:
        """Flush and close the file."""
        with self._guarded():
            if self._events is not None:
                self._events.close()

    def _write(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        if self._events is not None:
            self._events.write_event(Event(wall_time=time.time(), step=step, **content))

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._events = None
            why = error.strerror or error
            LOG.warning("no more TensorBoard events go into %s: %s", self._folder, why)
