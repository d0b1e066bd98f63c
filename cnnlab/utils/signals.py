"""Signals that ask a program to stop."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Slurm sends SIGUSR2 some time before a job's time limit.
STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)

INTERRUPTED = "interrupted: nothing was being trained, nothing is lost"


def exit_on_interrupt() -> None:
    """Let Ctrl-C end the process at once, with status 130.

    The KeyboardInterrupt that Python raises is lost where a library that is being imported, or a
    destructor, catches everything. A run replaces this once it has something to save.
    """

    def leave(*_: object) -> None:
        os.write(2, f"{INTERRUPTED}\n".encode())
        os._exit(130)

    # Ignored in the background of a shell, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)


@contextmanager
def handled(handle: Callable[[int, object], None]) -> Iterator[None]:
    """Handle every signal that asks to stop by a function within this context."""
    previous = {number: signal.signal(number, handle) for number in STOP}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
