"""SIGTERM and Ctrl-C: the first asks the loop to save and stop, a second Ctrl-C exits at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from cnnlab.console import LOG


class Interrupted(Exception):
    """The run was asked to stop, and has saved its state."""


class Flag:
    """Which signal came, or an empty name."""

    def __init__(self):
        self.name = ""

    def __bool__(self) -> bool:
        return bool(self.name)

    def __call__(self) -> bool:
        """Whether to stop."""
        return bool(self.name)


@contextmanager
def interruption() -> Iterator[Flag]:
    """Within this context, note SIGTERM and SIGINT in a flag instead of dying of them."""
    flag = Flag()

    def handle(number, _):
        name = signal.Signals(number).name
        if flag and number == signal.SIGINT:
            # Not sys.exit: threads of the data pipeline could keep the process alive.
            os._exit(130)
        flag.name = name
        LOG.warning("%s: saving after this step; press Ctrl-C again to exit at once", name)

    previous = {s: signal.signal(s, handle) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield flag
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
