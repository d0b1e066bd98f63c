"""Signals that ask a program to stop."""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Slurm sends SIGUSR2 some time before a job's time limit, a terminal SIGHUP when it is closed.
STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP)

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
    """Handle every signal that asks to stop by a function within this context.

    SIGHUP stays ignored under nohup.
    """

    def react(number: int, frame: object) -> None:
        if number == signal.SIGHUP:
            _leave_terminal()
        handle(number, frame)

    kept = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else []
    previous = {number: signal.signal(number, react) for number in STOP if number not in kept}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _leave_terminal() -> None:
    """Write nowhere in place of a terminal that is closed, where writing fails."""
    for number in (1, 2):
        device = stat.S_ISCHR(os.fstat(number).st_mode)
        if device and not os.isatty(number):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)
