"""Signals that ask a program to stop."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# SIGUSR2 is what Slurm can be told to send some time before a job's limit.
STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


@contextmanager
def handled(handle: Callable[[int, object], None]) -> Iterator[None]:
    """Within this context, give every signal that asks to stop to a function."""
    previous = {number: signal.signal(number, handle) for number in STOP}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
