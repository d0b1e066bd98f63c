"""SIGTERM, SIGUSR2 and Ctrl-C: the first asks the loop to save and stop, a second Ctrl-C exits.

Outside the loop there is nothing to save, and the first ends the run at once.
SIGUSR2 is what Slurm can send some time before a job's limit. Of several processes any
may get the signal; all stop after the same step.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cnnlab.launch import kv_store
from cnnlab.launch.stop_agreement import Agreement
from cnnlab.utils.console import LOG
from cnnlab.utils.signals import handled


class Interrupted(BaseException):
    """The run was asked to stop, and has saved its state.

    No `Exception`: what may fail without ending the run catches those, and this has to end it.

    Attributes:
        where: where the state was saved; "" if not known yet.
        status: the exit status by which shells know the signal: 130 for Ctrl-C.
    """

    def __init__(self, signal_name: str, where: str = ""):
        """Take the name of the signal, with the process it came to, and where the state is."""
        super().__init__(f"{signal_name}: {where}" if where else signal_name)
        self.where = where
        self.status = 128 + signal.Signals[signal_name.partition(" ")[0]]


class Flag:
    """Which signal came, or an empty name."""

    def __init__(self, agreement: Agreement | None = None):
        """`agreement`: with the other processes, where there are any."""
        self.name = ""
        self._agreement = agreement

    def __bool__(self) -> bool:
        return bool(self.name)

    def __call__(self) -> bool:
        """Whether to stop; every process has to ask equally often."""
        if self._agreement is not None and self._agreement.reached():
            self.name = self._agreement.reason
        return bool(self.name)

    def hear(self, name: str) -> None:
        """Take note of a signal."""
        if self._agreement is None:
            self.name = name
        else:
            self._agreement.want(name)


@contextmanager
def interruption() -> Iterator[Flag]:
    """Within this context, note signals in a flag instead of dying of them."""
    agreement = Agreement() if kv_store.process_count() > 1 else None
    flag = Flag(agreement)

    def note(name: str) -> None:
        flag.hear(name)
        LOG.warning("%s: saving after this step; press Ctrl-C again to exit at once", name)

    try:
        with _handled_by(note):
            yield flag
    finally:
        if agreement is not None:
            agreement.close()


@contextmanager
def interruption_at_once() -> Iterator[None]:
    """Within this context, which has nothing to save, raise `Interrupted` where a signal comes."""

    def leave(name: str) -> None:
        raise Interrupted(name)

    with _handled_by(leave):
        yield


@contextmanager
def _handled_by(react: Callable[[str], None]) -> Iterator[None]:
    """Within this context, call a function with the name of a signal; a second Ctrl-C exits."""
    heard = False

    def handle(number: int, _: object) -> None:
        nonlocal heard
        if heard and number == signal.SIGINT:
            # Not sys.exit: threads of the data pipeline could keep the process alive.
            os._exit(130)
        heard = True
        react(signal.Signals(number).name)

    with handled(handle):
        yield
